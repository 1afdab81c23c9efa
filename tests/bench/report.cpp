#include "tests/bench/report.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace covey::bench {
namespace {

__attribute__((format(printf, 2, 3))) void print(std::string& out, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  out.append(text);
}

// 12,345
std::string grouped(double number) {
  std::string digits = std::to_string(static_cast<long long>(std::llround(number)));
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string milliseconds(double us) {
  if (us == 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", us / 1000);
  return text;
}

std::string processor_time(double us) {
  if (us == 0 || us >= 100) return us == 0 ? "" : grouped(us);
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", us);
  return text;
}

constexpr double mib = 1 << 20;

void print_case(std::string& out, const Case& measured) {
  const double first_rate = measured.rows.front().per_second;
  for (const Row& row : measured.rows) {
    const bool first = &row == &measured.rows.front();
    char ratio[32] = "";
    if (!first && row.per_second > 0) std::snprintf(ratio, sizeof ratio, "%.2f", first_rate / row.per_second);
    out.append("| ").append(first ? measured.title : "").append(" | ").append(row.side);
    out.append(" | ").append(grouped(row.per_second));
    out.append(" | ").append(grouped(row.per_second_low)).append("–").append(grouped(row.per_second_high));
    for (const double us : {row.p50_us, row.p90_us, row.p99_us, row.p999_us})
      out.append(" | ").append(milliseconds(us));
    out.append(" | ").append(processor_time(row.cpu_us)).append(" | ").append(ratio).append(" |\n");
  }
}

void print_setting(std::string& out, const Setting& setting, const char* first_side) {
  print(out, "### %s, durability `%s`\n\n", setting.nodes == 1 ? "One node" : "Three nodes",
        to_text(setting.durability));
  print(out,
        "| load | server | a second | lowest–highest | p50 ms | p90 | p99 | p99.9 | CPU µs | %s / it |\n",
        first_side);
  out.append("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const Case& measured : setting.cases) print_case(out, measured);
  out.append("\n");
  for (const Case& measured : setting.cases) {
    for (const Row& row : measured.rows) {
      if (row.failures == 0) continue;
      print(out, "%s, %s: %llu requests were not answered as asked, the first with: `%.200s`\n\n",
            measured.title.c_str(), row.side.c_str(), static_cast<unsigned long long>(row.failures),
            row.first_failure.substr(0, row.first_failure.find('\r')).c_str());
    }
  }
}

void print_convergence(std::string& out, const Convergence& result) {
  out.append("## Convergence\n\nThree nodes with ").append(grouped(static_cast<double>(result.keys)));
  out.append(" keys; one was stopped, ").append(grouped(static_cast<double>(result.changed)));
  out.append(" of them were changed, and it was started again.\n\n| | |\n|---|--:|\n");
  out.append("| differing: key and value of each changed object | ")
      .append(grouped(result.differing_bytes))
      .append(" bytes |\n");
  out.append("| objects sent, by all nodes | ").append(grouped(result.objects_sent)).append(" |\n");
  print(out, "| gossip and repair, all nodes, digests included | %s bytes, %.2f times that |\n",
        grouped(result.object_bytes).c_str(), result.object_bytes / result.differing_bytes);
  print(out, "| all bytes between the nodes meanwhile | %s bytes, %.2f times that |\n",
        grouped(result.peer_bytes).c_str(), result.peer_bytes / result.differing_bytes);
  print(out, "| from the process's start to its ready line | %.2f s |\n", result.ready_seconds);
  print(out, "| from then until all changes were readable there and all clocks equal | %.2f s |\n",
        result.equal_seconds);
  print(out, "| between equal replicas, for each pair and partition | %.1f bytes a second |\n\n",
        result.idle_bytes_per_second_and_partition);
}

void print_memory(std::string& out, const Memory& result) {
  const auto beyond = [&](uint64_t bytes) {
    return (static_cast<double>(bytes) - static_cast<double>(result.cache_bytes)) / mib;
  };
  out.append("## Memory and restart\n\nOne node with ").append(grouped(static_cast<double>(result.keys)));
  out.append(" keys, loaded by the batch call.\n\n| | |\n|---|--:|\n");
  out.append("| loaded | ").append(grouped(result.load_per_second)).append(" keys a second |\n");
  print(out, "| resident after the load | %.0f MiB, %.0f beyond the configured cache of %.0f |\n",
        static_cast<double>(result.resident_bytes) / mib, beyond(result.resident_bytes),
        static_cast<double>(result.cache_bytes) / mib);
  print(out, "| resident after a restart | %.0f MiB, %.0f beyond the cache |\n",
        static_cast<double>(result.resident_after_start_bytes) / mib,
        beyond(result.resident_after_start_bytes));
  print(out, "| from the process's start to its ready line | %.2f s |\n\n", result.ready_seconds);
}

void print_filling(std::string& out, const Filling& result) {
  const auto rate = [&](double seconds) { return result.bytes / mib / seconds; };
  out.append("## Filling an empty node\n\nTwo nodes with ").append(grouped(static_cast<double>(result.keys)));
  print(out, " keys, %.0f MiB of keys and values; one lost its disk.\n\n| | |\n|---|--:|\n",
        result.bytes / mib);
  print(out, "| a plain copy of as many bytes, file to loopback to file, synced | %.2f s, %.0f MiB/s |\n",
        result.copy_seconds, rate(result.copy_seconds));
  print(out,
        "| RocksDB alone: read, written to tables and taken in | %.2f s, %.0f MiB/s, %.1f µs of processor an "
        "object |\n",
        result.engine_seconds, rate(result.engine_seconds), result.engine_cpu_us);
  print(out, "| filled without a limit | %.2f s, %.0f MiB/s |\n", result.unlimited_seconds,
        rate(result.unlimited_seconds));
  print(out, "| of the rate of the plain copy, and of RocksDB alone | %.2f, %.2f |\n",
        result.copy_seconds / result.unlimited_seconds, result.engine_seconds / result.unlimited_seconds);
  print(out, "| processor time of both nodes for each object | %.1f µs |\n", result.unlimited_cpu_us);
  print(out, "| filled at the default limit, under load | %.2f s, %.0f MiB/s |\n", result.limited_seconds,
        rate(result.limited_seconds));
  const auto cost = [&](const char* what, double before, double during) {
    print(out, "| %s a second without a filling, and during one | %s, %s (%.2f) |\n", what,
          grouped(before).c_str(), grouped(during).c_str(), during / before);
  };
  cost("puts", result.puts_without, result.puts_during);
  cost("gets", result.gets_without, result.gets_during);
  if (result.over_too_early > 0)
    print(out, "| rounds of %u whose filling was over too early: take more keys | %u |\n", result.rounds,
          result.over_too_early);
  out.append("\n");
}

void print_restart(std::string& out, const Restart& result) {
  out.append("## Columns after a start\n\nOne node with ").append(grouped(static_cast<double>(result.rows)));
  print(
      out,
      " rows of two columns, written by the batch call (%s rows a second). An orderly stop, with %.0f MB of "
      "checkpoints to be written, took %.1f s; %.0f MiB were resident in the end. Each start until an "
      "aggregate over all "
      "rows was answered, the same bits each time:\n\n",
      grouped(result.load_per_second).c_str(), static_cast<double>(result.checkpoint_bytes) / 1e6,
      result.stop_seconds, result.resident_mib);
  out.append("| after | s | of them until ready | CPU s |\n|---|--:|--:|--:|\n");
  for (const Restart::Start& start : result.starts) {
    print(out, "| %s | %.2f | %.2f | %.2f |\n", start.after.c_str(), start.ready_seconds + start.seconds,
          start.ready_seconds, start.cpu_seconds);
  }
  out.append("\n");
}

void print_contention(std::string& out, const Contention& result) {
  out.append("## The same keys at once\n\nThree nodes, each written the same ");
  out.append(grouped(static_cast<double>(result.keys))).append(" keys at the same time with W=1, ");
  out.append(grouped(result.puts_per_second)).append(" puts a second together. When the last was answered ");
  print(out, "%llu of %llu partitions were not equal. All objects were equal on all nodes after",
        static_cast<unsigned long long>(result.different),
        static_cast<unsigned long long>(result.partitions));
  for (const double seconds : result.equal_seconds) print(out, " %.2f", seconds);
  out.append(" seconds (each round).\n\n");
}

void print_tail(std::string& out, const Tail& result) {
  out.append("## Gets while the storage compacts\n\nOne node, durability `interval`, ");
  out.append(grouped(static_cast<double>(result.keys)));
  print(
      out,
      " keys; 8 connections write with pipeline 16, as fast as they are answered, for %.3g seconds.\n\n"
      "| server | puts a second | gets a second | p50 ms | p99 | p99.9 | CPU s of flushing and compacting |\n"
      "|---|--:|--:|--:|--:|--:|--:|\n",
      result.seconds);
  for (const Tail::Row& row : result.rows) {
    out.append("| ").append(row.side).append(" | ").append(grouped(row.puts_per_second));
    out.append(" | ").append(grouped(row.gets_per_second));
    for (const double us : {row.p50_us, row.p99_us, row.p999_us}) out.append(" | ").append(milliseconds(us));
    if (row.storage_cpu_seconds > 0) {
      print(out, " | %.1f |\n", row.storage_cpu_seconds);
    } else {
      out.append(" | |\n");
    }
  }
  out.append("\n");
}

void print_head(std::string& out, const Options& options, const Results& results) {
  const Machine& machine = results.machine;
  print(out, "Measured on %s UTC, with `%s`.\n\n", results.date.c_str(), options.command.c_str());
  print(out,
        "Machine: %u cores of %s, %.0f GiB, %s; an fdatasync of 200 appended bytes takes %.2f ms where the "
        "data lies; "
        "load average before the start %.1f.",
        machine.cores, machine.processor.c_str(), machine.memory_gib, machine.system.c_str(),
        machine.fsync_us / 1000, machine.load_average);
  if (!results.versions.empty()) out.append(" Peers: ");
  for (const std::string& version : results.versions)
    out.append(&version == &results.versions.front() ? "" : "; ").append(version);
  out.append(results.versions.empty() ? "\n\n" : ".\n\n");
  print(out,
        "%u connections, values of %u bytes, %s keys chosen evenly, %u rounds of %.3g seconds in turns, "
        "medians.\n\n",
        options.connections, options.value_bytes, grouped(static_cast<double>(options.keys)).c_str(),
        options.rounds, options.seconds);
}

}  // namespace

std::string to_markdown(const Options& options, const Results& results) {
  std::string out;
  print_head(out, options, results);
  if (!results.throughput.empty()) out.append("## Puts and gets\n\n");
  for (const Setting& setting : results.throughput) print_setting(out, setting, "covey");
  if (!results.columns.empty()) out.append("## Puts to a table with columns\n\n");
  for (const Setting& setting : results.columns) print_setting(out, setting, "two columns");
  if (results.convergence) print_convergence(out, *results.convergence);
  if (results.memory) print_memory(out, *results.memory);
  if (results.filling) print_filling(out, *results.filling);
  if (results.restart) print_restart(out, *results.restart);
  if (results.contention) print_contention(out, *results.contention);
  if (results.tail) print_tail(out, *results.tail);
  return out;
}

}  // namespace covey::bench
