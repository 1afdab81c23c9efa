// Lines on the standard input of a node of Maelstrom. Whatever they are, it goes on, answers each request
// once and writes nothing but messages.
#include <map>

#include "tests/fuzz/fuzz.h"
#include "tests/maelstrom/line_reader.h"
#include "tests/maelstrom/node.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  using namespace covey::maelstrom;
  if (size == 0) return 0;
  // The first byte says which workload it is, and whether there is a peer (that never answers).
  constexpr Workload workloads[] = {Workload::echo,      Workload::broadcast,  Workload::g_set,
                                    Workload::g_counter, Workload::pn_counter, Workload::lin_kv};
  Node node({.workload = workloads[data[0] % 6]});
  Now now{1'000'000, 1'700'000'000'000};
  Json names = data[0] < 128 ? Json{"n1"} : Json{"n1", "n2"};
  size_t requests = 1, answers = 0;
  auto look = [&] {
    for (const std::string& line : node.take_lines()) {
      const Parsed written = parse_message(line);
      COVEY_ASSERT(written.message && written.error.empty());
      answers += written.message->body.contains("in_reply_to") ? 1 : 0;
    }
    node.take_log();
  };
  node.line(now, message_line(
                     "c1", "n1",
                     {{"type", "init"}, {"msg_id", 1}, {"node_id", "n1"}, {"node_ids", std::move(names)}}));
  LineReader reader(1'000);
  for (const LineReader::Line& line : reader.feed(fuzz::view(data + 1, size - 1))) {
    if (line.too_long) continue;
    const Parsed read = parse_message(line.text);
    const bool asks = read.message && read.message->msg_id && read.message->type != "error";
    const bool of_peer = read.message && read.error.empty() && read.message->type == "covey" &&
                         read.message->src == "n2" && data[0] >= 128;
    requests += asks && !of_peer ? 1 : 0;
    node.line(now, line.text);
    look();
  }
  for (int i = 0; i < 70; ++i) {  // longer than any request may take
    now.tick_us += 100'000;
    node.tick(now);
    look();
  }
  COVEY_ASSERT(answers == requests);
  return 0;
}
