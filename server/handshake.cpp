#include "server/handshake.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "replication/hash.h"

namespace covey::server {
namespace {

using nlohmann::json;

std::string replace_invalid(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json to_json(const Introduction& from) {
  return {{"protocol", from.protocol},
          {"cluster", from.cluster},
          {"secret_check", from.secret_check},
          {"node", from.member.node.name},
          {"peer", from.member.peer_address},
          {"http", from.member.http_address},
          {"zone", from.member.zone},
          {"weight", from.member.weight},
          {"instance", from.instance},
          {"partitions", from.partitions},
          {"replicas", from.replicas},
          {"shard", from.shard},
          {"shards", from.shards}};
}

std::optional<Introduction> from_json(const json& in) {
  if (!in.is_object()) return std::nullopt;
  bool ok = true;
  auto text = [&](const char* key) -> std::string {
    auto found = in.find(key);
    if (found != in.end() && found->is_string() && found->get_ref<const std::string&>().size() <= 512) {
      return found->get<std::string>();
    }
    ok = false;
    return {};
  };
  auto number = [&](const char* key) -> uint32_t {
    auto found = in.find(key);
    if (found != in.end() && found->is_number_unsigned() && found->get<uint64_t>() <= UINT32_MAX) {
      return found->get<uint32_t>();
    }
    ok = false;
    return 0;
  };
  Introduction out;
  out.protocol = number("protocol");
  if (ok && out.protocol != peer_protocol_version) return out;  // what else it says may look different
  out.cluster = text("cluster");
  out.secret_check = text("secret_check");
  out.member.node.name = text("node");
  out.member.peer_address = text("peer");
  out.member.http_address = text("http");
  out.member.zone = text("zone");
  auto weight = in.find("weight");
  ok = ok && weight != in.end() && weight->is_number() && weight->get<double>() > 0 &&
       std::isfinite(weight->get<double>());
  if (ok) out.member.weight = weight->get<double>();
  out.instance = text("instance");
  out.partitions = number("partitions");
  out.replicas = number("replicas");
  out.shard = number("shard");
  out.shards = number("shards");
  if (!ok || out.member.node.name.empty() || out.shards == 0 || out.shard >= out.shards) return std::nullopt;
  return out;
}

json parse(std::string_view payload) {
  if (payload.size() > handshake_bytes_max) return json(json::value_t::discarded);
  return json::parse(payload, nullptr, false);
}

std::string differs(const char* what, const std::string& mine, const std::string& theirs) {
  return std::string(what) + " differs: \"" + mine + "\" here, \"" + theirs + "\" there";
}

}  // namespace

std::string secret_check(const TokenKey& secret, const Introduction& introduction) {
  std::string told = "covey handshake " + introduction.cluster + " " + introduction.member.node.name + " " +
                     introduction.instance;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx",
                static_cast<unsigned long long>(keyed_tag(secret.first, secret.second, told)));
  return text;
}

std::string encode_introduction(const Introduction& introduction) {
  return replace_invalid(to_json(introduction));
}

std::optional<Introduction> decode_introduction(std::string_view payload) {
  return from_json(parse(payload));
}

std::string encode_refusal(std::string_view reason) {
  return replace_invalid({{"refused", std::string(reason)}});
}

std::optional<HandshakeAnswer> decode_answer(std::string_view payload) {
  json in = parse(payload);
  if (!in.is_object()) return std::nullopt;
  HandshakeAnswer answer;
  if (in.contains("refused") && in["refused"].is_string()) {
    answer.refused = in["refused"].get<std::string>();
    return answer;
  }
  answer.accepted = from_json(in);
  if (!answer.accepted) return std::nullopt;
  return answer;
}

Judgement judge(const Introduction& mine, const Introduction& theirs, const TokenKey& secret) {
  auto no = [](std::string reason) { return Judgement{Compatibility::differs, std::move(reason)}; };
  if (theirs.protocol != mine.protocol) {
    return no(differs("the peer protocol's version", std::to_string(mine.protocol),
                      std::to_string(theirs.protocol)));
  }
  if (theirs.cluster != mine.cluster) return no(differs("the cluster", mine.cluster, theirs.cluster));
  if (theirs.secret_check != secret_check(secret, theirs)) return no("the cluster's secret differs");
  if (theirs.partitions != mine.partitions) {
    return no(differs("the number of partitions", std::to_string(mine.partitions),
                      std::to_string(theirs.partitions)));
  }
  if (theirs.replicas != mine.replicas) {
    return no(
        differs("the number of replicas", std::to_string(mine.replicas), std::to_string(theirs.replicas)));
  }
  if (theirs.member.node == mine.member.node) {
    if (theirs.instance == mine.instance) return {Compatibility::myself, {}};
    return no("another process uses the node id \"" + mine.member.node.name + "\": give each node its own");
  }
  return {};
}

}  // namespace covey::server
