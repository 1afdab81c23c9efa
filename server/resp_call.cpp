#include "server/resp_call.h"

#include <iterator>

#include "replication/plan.h"
#include "server/call_options.h"
#include "server/errors.h"
#include "server/read_rows.h"
#include "server/resp_value.h"

namespace covey::server {
namespace {

constexpr size_t keys_asked_max = 64;  // keys of one command asked for at once
constexpr uint32_t attempts_max = 4;

}  // namespace

std::string resp_error(const Response& response, Operation operation) {
  std::string needed = "needed " + std::to_string(response.needed);
  switch (response.status) {
    case Status::unavailable:
      return "UNAVAILABLE " + needed + " reachable " + std::to_string(response.reachable);
    case Status::timeout:
      return "TIMEOUT " + needed + " received " + std::to_string(response.received) +
             (writes(operation) ? " outcome unknown" : "");
    default:
      return "ERR " + error_of(response, operation).message;
  }
}

RespCall::RespCall(std::shared_ptr<RespConnection> connection, uint64_t slot, std::vector<std::string> all)
    : words(std::move(all)),
      read_level(connection->session().read_level),
      write_level(connection->session().write_level),
      connection_(std::move(connection)),
      slot_(slot),
      table_(session().table),
      reply_(session().protocol) {
  if (const TableDefinition* definition = shard().table(table_)) conflicts_ = definition->conflicts;
}

KeyPlan plan_of_key(RespCall& call) {
  KeyPlan plan;
  plan.keys.push_back(std::move(call.words[1]));
  return plan;
}

KeyPlan plan_of_keys(RespCall& call) {
  KeyPlan plan;
  plan.keys.assign(std::make_move_iterator(call.words.begin() + 1),
                   std::make_move_iterator(call.words.end()));
  return plan;
}

void change_key(RespCall& call, std::vector<Change> changes,
                std::function<void(RespReply& reply, const Changed& changed)> answer, KeyErrors errors) {
  KeyPlan plan = plan_of_key(call);
  plan.reads = false;
  plan.errors = errors;
  plan.change = [changes = std::move(changes)](size_t, const Response&) mutable {
    return KeyChange::apply(std::move(changes));
  };
  auto changed = std::make_shared<Changed>();
  plan.wrote = [changed](size_t, const Response& written) { *changed = written.changed; };
  plan.answer = [changed, answer = std::move(answer)](RespReply& reply) { answer(reply, *changed); };
  call.run(std::move(plan));
}

void RespCall::done() { connection_->reply(slot_, std::move(reply_)); }

Request RespCall::request(Operation operation, std::string key) const {
  const Config& config = connection_->shard().node().config;
  Request request;
  request.operation = operation;
  request.table = table_;
  request.key = std::move(key);
  request.level = writes(operation) ? write_level : read_level;
  request.sloppy = config.sloppy;
  request.timeout_ms = config.timeout_ms;
  request.conflicts = conflicts_;
  return request;
}

// false: it has been answered.
bool RespCall::may_ask(const std::string& key) {
  if (shard().table(table_) == nullptr) {
    fail("ERR " + no_such_table(table_).message);
    return false;
  }
  if (auto wrong = check_key(key)) {
    fail("ERR " + wrong->message);
    return false;
  }
  return true;
}

void RespCall::read_key(Then then) {
  if (!may_ask(words[1])) return;
  then_ = then;
  shard().ask(request(Operation::get, words[1]), shared_from_this(), 0);
}

void RespCall::put_key(std::string value, uint64_t expires_ms, Then then) {
  if (!may_ask(words[1])) return;
  then_ = then;
  writes_ = true;
  Request asked = request(Operation::put, std::move(words[1]));
  asked.overwrite = true;
  ReadRow row;
  if (auto wrong = put_into(asked, row, KeyChange::put(std::move(value), expires_ms))) return fail(*wrong);
  shard().ask(std::move(asked), shared_from_this(), 0, std::move(row));
}

bool RespCall::put_off(const Response& response) {
  if (response.object.versions.empty()) return false;
  return connection_->put_off(slot_, value_bytes(response.object), shared_from_this());
}

void RespCall::count_key(const Response& read) {
  if (!counts_keys) return;
  Metrics& metrics = shard().metrics();
  ++(read.object.versions.empty() ? metrics.resp_misses : metrics.resp_hits);
}

void RespCall::read_again() {
  if (then_ == nullptr) return read(0);
  shard().ask(request(Operation::get, words[1]), shared_from_this(), 0);
}

void RespCall::take_one(const Response& response) {
  if (!writes_ && put_off(response)) return;
  if (writes_) {
    if (response.status != Status::ok) return fail(error_of_write(response));
  } else {
    if (response.status != Status::ok && response.status != Status::not_found)
      return fail(resp_error(response, Operation::get));
    if (response.object.versions.size() > 1) ++shard().metrics().reads_with_siblings;
    count_key(response);
  }
  then_(*this, response);
  done();
}

void RespCall::run(KeyPlan plan) {
  for (const std::string& key : plan.keys) {
    if (!may_ask(key)) return;
  }
  plan_ = std::move(plan);
  steps_.resize(plan_.keys.size());
  advance();
}

void RespCall::advance() {
  if (advancing_) return;
  advancing_ = true;
  while (error_.empty() && next_ < plan_.keys.size() && under_way_ < keys_asked_max) {
    const size_t place = next_++;
    ++under_way_;
    plan_.reads ? read(place) : write(place, plan_.change(place, {}), nullptr);
  }
  advancing_ = false;
  if (under_way_ > 0) return;
  if (!error_.empty()) return fail(error_);
  plan_.answer(reply_);
  done();
}

void RespCall::read(size_t place) {
  steps_[place].reading = true;
  shard().ask(request(Operation::get, plan_.keys[place]), shared_from_this(), place);
}

void RespCall::answered(uint64_t place, Response&& response) {
  if (then_ != nullptr) return take_one(response);
  Step& step = steps_[place];
  if (step.reading) {
    const bool read = response.status == Status::ok || response.status == Status::not_found;
    return read ? take_read(place, response) : key_failed(resp_error(response, Operation::get));
  }
  if (response.status == Status::precondition_failed) {
    if (++step.attempts < attempts_max || !plan_.refused) return this->read(place);
    plan_.refused(place);
    return key_done();
  }
  if (response.status != Status::ok) return key_failed(error_of_write(response));
  if (plan_.wrote) plan_.wrote(place, response);
  key_done();
}

void RespCall::take_read(size_t place, const Response& response) {
  if (plan_.keys.size() == 1 && put_off(response)) return;
  steps_[place].reading = false;
  count_key(response);
  if (response.object.versions.size() > 1) ++shard().metrics().reads_with_siblings;
  if (plan_.keeps_values) {
    for (const Version& version : response.object.versions) kept_bytes_ += version.value.size();
    if (kept_bytes_ > config().batch_bytes_max)
      return key_failed("ERR the answer is over the limit of " + std::to_string(config().batch_bytes_max) +
                        " bytes: ask for fewer keys");
  }
  write(place, plan_.change(place, response), &response);
}

// That nothing else has come to the key since it was read.
void RespCall::condition(size_t place, Request& request, const Response& read) const {
  const auto& versions = read.object.versions;
  const bool tries = steps_[place].attempts < attempts_max;
  if (versions.empty()) {
    request.if_absent = request.operation == Operation::put && (tries || plan_.refused);
  } else if (versions.size() == 1 && tries && conflicts_ == Conflicts::siblings) {
    request.if_match = versions[0].dot;
  }
}

// The request for what is to be put, and the row of its columns. Otherwise what is wrong with it.
std::optional<std::string> RespCall::put_into(Request& request, ReadRow& row, KeyChange change) const {
  ShardLoop& shard = connection_->shard();
  const TableDefinition* table = shard.table(table_);
  if (table == nullptr) return "ERR " + no_such_table(table_).message;
  if (change.value.size() > shard.node().config.value_bytes_max)
    return "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
  if (!table->columns.empty()) {
    if (auto wrong = check_columns(*table, change.value, &row.values)) return "ERR bad column: " + *wrong;
    row.name = row_name(table->text, change.value);
  }
  if (change.content_type) {
    request.content_type = std::move(*change.content_type);
  } else if (!table->columns.empty()) {
    request.content_type = "application/json";
  }
  request.value = std::move(change.value);
  request.expires_ms = change.expires_ms;
  return std::nullopt;
}

void RespCall::write(size_t place, KeyChange change, const Response* read) {
  if (change.kind == KeyChange::Kind::none) return key_done();
  if (change.kind == KeyChange::Kind::fail) return key_failed(std::move(change.value));
  if (change.kind == KeyChange::Kind::apply) {
    if (shard().table(table_) == nullptr) return key_failed("ERR " + no_such_table(table_).message);
    Request asked = request(Operation::change, plan_.keys[place]);
    if (!sound(change.changes))
      return key_failed("ERR an element, or the name of a field, has at most " +
                        std::to_string(element_bytes_max) + " bytes");
    asked.changes = std::move(change.changes);
    asked.expires_ms = change.expires_ms;
    return shard().ask(std::move(asked), shared_from_this(), place);
  }
  const bool puts = change.kind == KeyChange::Kind::put;
  Request asked = request(puts ? Operation::put : Operation::erase, plan_.keys[place]);
  asked.overwrite = plan_.overwrites;
  asked.context = std::move(change.context);
  if (read != nullptr) {
    asked.context = read->context;
    condition(place, asked, *read);
  }
  ReadRow row;
  if (puts) {
    if (auto wrong = put_into(asked, row, std::move(change))) return key_failed(std::move(*wrong));
  } else if (shard().table(table_) == nullptr) {
    return key_failed("ERR " + no_such_table(table_).message);
  }
  shard().ask(std::move(asked), shared_from_this(), place, std::move(row));
}

std::string RespCall::error_of_write(const Response& response) const {
  if (response.status == Status::wrong_type) return std::string(wrong_type_error);
  if (response.status == Status::not_a_number) return std::string(plan_.errors.not_a_number);
  if (response.status == Status::number_overflow) return std::string(plan_.errors.overflow);
  return resp_error(response, Operation::put);
}

void RespCall::key_done() {
  --under_way_;
  advance();
}

void RespCall::key_failed(std::string error) {
  if (error_.empty()) error_ = std::move(error);
  key_done();
}

}  // namespace covey::server
