#include "server/column_table.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <tuple>

namespace covey::server {
namespace {

namespace ondemand = simdjson::ondemand;

// simdjson reads a little beyond the end: a copy in memory that has room for it.
simdjson::padded_string_view padded(std::string_view text) {
  thread_local std::string buffer;
  buffer.resize(text.size() + simdjson::SIMDJSON_PADDING);
  if (!text.empty()) std::memcpy(buffer.data(), text.data(), text.size());
  return simdjson::padded_string_view(buffer.data(), text.size(), buffer.size());
}

template <class Source>  // a value or a document's field
agg::Value take(Source&& field, agg::ColumnType type) {
  switch (type) {
    case agg::ColumnType::kInt64: {
      int64_t number = 0;
      if (field.get_int64().get(number) == simdjson::SUCCESS) return number;
      break;
    }
    case agg::ColumnType::kFloat64: {
      double number = 0;
      if (field.get_double().get(number) == simdjson::SUCCESS) return number;
      break;
    }
    case agg::ColumnType::kString: {
      std::string_view text;
      if (field.get_string().get(text) == simdjson::SUCCESS && text.size() <= agg::kStringBytesMax)
        return std::string(text);
      break;
    }
  }
  return {};
}

}  // namespace

ColumnTable::ColumnTable(std::string name, const TableDefinition& definition)
    : name_(std::move(name)), definition_(definition.text), conflicts_(definition.conflicts) {
  for (const ColumnDefinition& column : definition.columns) {
    schema_.columns.push_back({column.name, library_type(column.type)});
    const bool whole = column.path.empty();
    bool top =
        !whole && column.path.find('/', 1) == std::string::npos && column.path.find('~') == std::string::npos;
    fields_.push_back({top ? column.path.substr(1) : "", column.path});
    typed_.push_back({field_of(column.path), whole, schema_.columns.back().type});
    has_pointers_ = has_pointers_ || fields_.back().member.empty();
  }
}

std::optional<std::vector<uint32_t>> ColumnTable::places_in(const ColumnTable& other) const {
  if (conflicts_ != other.conflicts_) return std::nullopt;
  std::vector<uint32_t> places(fields_.size(), agg::kNewColumn);
  bool any = false;
  for (size_t i = 0; i < fields_.size(); ++i) {
    const int place = other.schema_.find(schema_.columns[i].name);
    if (place < 0) continue;
    const auto at = static_cast<uint32_t>(place);
    if (schema_.columns[i] != other.schema_.columns[at] || fields_[i].pointer != other.fields_[at].pointer)
      continue;
    places[i] = at;
    any = true;
  }
  return any ? std::optional(places) : std::nullopt;
}

void ColumnTable::read(std::string_view value, std::vector<agg::Value>& row) const {
  thread_local ondemand::parser parser;
  row.assign(fields_.size(), {});
  auto text = padded(value);
  ondemand::document document;
  ondemand::object object;
  if (parser.iterate(text).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS)
    return;
  std::vector<bool> seen(fields_.size());
  for (auto field : object) {
    std::string_view name;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS) return row.assign(fields_.size(), {});
    for (size_t i = 0; i < fields_.size(); ++i) {
      if (seen[i] || fields_[i].member.empty() || fields_[i].member != name) continue;
      seen[i] = true;  // of a member that stands there twice the first counts
      ondemand::value found;
      if (field.value().get(found) != simdjson::SUCCESS) return row.assign(fields_.size(), {});
      row[i] = take(found, schema_.columns[i].type);
    }
  }
  for (size_t i = 0; has_pointers_ && i < fields_.size(); ++i) {
    if (!fields_[i].member.empty() || fields_[i].pointer.empty()) continue;
    ondemand::value found;
    if (document.at_pointer(fields_[i].pointer).get(found) == simdjson::SUCCESS)
      row[i] = take(found, schema_.columns[i].type);
  }
}

std::vector<RowState> ColumnTable::rows(const Object& object, ReadRows* known) const {
  const bool is_plain = plain(object);
  const Type type = is_plain ? Type::value : type_of(object);
  if (type == Type::none) return {};
  if (type != Type::value) return {typed_state(object)};
  std::vector<const Version*> order;
  for (const Version& version : object.versions) {
    if (version.kind == VersionKind::value) order.push_back(&version);
  }
  std::sort(order.begin(), order.end(), [](const Version* a, const Version* b) {
    return std::tie(a->time, a->dot) < std::tie(b->time, b->dot);
  });
  const uint64_t of_key = is_plain ? 0 : key_expiry(object);
  std::vector<RowState> out(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    out[i].time = static_cast<int64_t>(order[i]->time.value);
    out[i].expires_ms = expiry_under(of_key, *order[i]);
    const std::string& value = order[i]->value;
    if (known == nullptr || !known->take(row_name(definition_, value), out[i].values))
      read(value, out[i].values);
  }
  return out;
}

// Until the first of its versions expires: what is left then is told when that is removed.
RowState ColumnTable::typed_state(const Object& object) const {
  RowState out;
  const uint64_t of_key = key_expiry(object);
  const Version* latest = nullptr;
  for (const Version& version : object.versions) {
    if (version.kind == VersionKind::expiry) continue;
    if (latest == nullptr || older(*latest, version)) latest = &version;
    const uint64_t expires_ms = expiry_under(of_key, version);
    if (expires_ms != 0 && (out.expires_ms == 0 || expires_ms < out.expires_ms)) out.expires_ms = expires_ms;
  }
  out.time = static_cast<int64_t>(latest->time.value);
  const Type type = type_of(object);
  if (type == Type::value) {
    read(latest->value, out.values);
  } else {
    out.values = typed_row(typed_, object, type);
  }
  return out;
}

std::shared_ptr<const ColumnTable> make_column_table(const std::string& name,
                                                     const TableDefinition& definition) {
  if (definition.columns.empty()) return nullptr;
  return std::make_shared<const ColumnTable>(name, definition);
}

}  // namespace covey::server
