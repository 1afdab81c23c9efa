// import: a reader makes batches, a few workers send them, each over its own connection. Like put, an import
// overwrites what it sees: each batch reads its keys' contexts first, unless it is told to be blind.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "client/cli/commands.h"
#include "client/cli/csv.h"
#include "client/cli/progress.h"

namespace covey::cli {
namespace {

using client::BatchOperation;
using client::BatchOutcome;
using client::WriteOptions;

constexpr size_t batch_records_max = 500;
constexpr size_t batch_bytes_max = 512 * 1024;
constexpr int overload_tries_max = 10;  // of one batch, a pause between them
constexpr int line_tries_max = 5;       // of lines that a node had no room or time for
constexpr int repeats_max = 200;        // for their sake, in a whole import: what does not get better ends
constexpr auto line_pause = std::chrono::milliseconds(200);  // then twice as long each time
constexpr uint64_t problems_shown_max = 20;

struct Batch {
  std::vector<ImportRecord> records;
  std::unordered_set<std::string> keys;
  size_t bytes = 0;
  uint64_t first_line = 0;
  uint64_t last_line = 0;
};

struct Problem {
  uint64_t line = 0;
  std::string message;
  ExitCode code = exit_failed;
  bool passes = false;  // it may be tried again, and may succeed then
};

// What the workers and the reader share. Guarded by `mutex`.
struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Batch> waiting;           // at most as many as there are workers
  std::multiset<uint64_t> unfinished;  // first lines of the batches that are waiting or under way
  std::set<std::string> keys;          // of those batches: two of them never write the same key at once
  uint64_t imported = 0;
  uint64_t failed_count = 0;
  std::deque<Problem> failures;  // not printed yet
  ExitCode code = exit_done;
  bool closed = false;   // no more batches will come
  bool stopped = false;  // no node answers: the rest is not tried
  uint64_t first_failed_line = UINT64_MAX;
};

void add_failure(Board& board, Problem problem) {
  ++board.failed_count;
  board.first_failed_line = std::min(board.first_failed_line, problem.line);
  if (board.code != exit_unavailable) board.code = problem.code;
  if (board.failed_count <= problems_shown_max) board.failures.push_back(std::move(problem));
}

std::string message_of(const Error& error) {
  return (error.code.empty() ? "" : error.code + ": ") + error.message +
         (error.outcome_unknown ? " (outcome unknown)" : "");
}

// Sends one batch's records; refusals for overload are repeated after the pause that the node asks for.
class Sender {
 public:
  Sender(client::Client client, const Session& session, const ImportCommand& command,
         std::atomic<int>& repeats)
      : client_(std::move(client)), session_(session), command_(command), repeats_(repeats) {}

  // The problems of single records; an Error when the batch as a whole could not be tried.
  Result<std::vector<Problem>, Error> send(std::vector<ImportRecord> records) {
    std::vector<Problem> problems;
    for (int tries = 1;; ++tries) {
      auto met = try_once(records);
      if (!met) return met.error();
      std::set<uint64_t> again = lines_to_repeat(*met);
      if (tries == line_tries_max || (!again.empty() && ++repeats_ > repeats_max)) again.clear();
      std::erase_if(*met, [&](const Problem& problem) { return again.contains(problem.line); });
      problems.insert(problems.end(), met->begin(), met->end());
      if (again.empty()) return problems;
      std::erase_if(records, [&](const ImportRecord& record) { return !again.contains(record.line); });
      std::this_thread::sleep_for(line_pause * (1 << (tries - 1)));
    }
  }

 private:
  // Those of which nothing is wrong with the line itself.
  static std::set<uint64_t> lines_to_repeat(const std::vector<Problem>& problems) {
    std::set<uint64_t> lines;
    for (const Problem& problem : problems) lines.insert(problem.line);
    for (const Problem& problem : problems) {
      if (!problem.passes) lines.erase(problem.line);
    }
    return lines;
  }

  // Whether a record that met this may be tried again: what may have been written is not, since a write that
  // arrives late would stand beside its repetition. alone: it is all that is written of the record.
  bool may_repeat(const Error& error, bool alone) const {
    const bool passes = error.kind == Error::Kind::overloaded || error.kind == Error::Kind::unavailable ||
                        error.kind == Error::Kind::timed_out;
    return passes && !error.outcome_unknown && (alone || !command_.blind);
  }

  Result<std::vector<Problem>, Error> try_once(const std::vector<ImportRecord>& records) {
    std::vector<BatchOperation> puts;
    std::vector<uint64_t> lines;
    // Counters, sets and hashes: what is there is deleted, and then they are made anew.
    std::vector<BatchOperation> changes;
    std::vector<uint64_t> change_lines;
    for (const ImportRecord& record : records) {
      if (!record.type.empty()) {
        changes.push_back({.kind = BatchOperation::Kind::change,
                           .key = record.key,
                           .value = change_to(record),
                           .ttl = command_.ttl});
        change_lines.push_back(record.line);
        if (command_.blind) continue;
        puts.push_back({.kind = BatchOperation::Kind::del, .key = record.key});
        lines.push_back(record.line);
        continue;
      }
      for (const client::Version& version : record.versions) {
        puts.push_back({.key = record.key,
                        .value = version.value,
                        .content_type = version.content_type,
                        .ttl = command_.ttl});
        lines.push_back(record.line);
      }
    }
    std::vector<Problem> problems;
    if (!command_.blind) {
      auto read = read_contexts(puts, lines);
      if (!read) return read.error();
      problems = *read;
    }
    // What could not be deleted is not to be added to.
    const auto forget = [&](uint64_t line) {
      const auto at = std::find(change_lines.begin(), change_lines.end(), line);
      if (at == change_lines.end()) return;
      changes.erase(changes.begin() + (at - change_lines.begin()));
      change_lines.erase(at);
    };
    for (const Problem& problem : problems) forget(problem.line);
    for (const auto& [operations, of] : {std::pair(&puts, &lines), std::pair(&changes, &change_lines)}) {
      auto outcomes = call(*operations, command_.level);
      if (!outcomes) return outcomes.error();
      for (size_t i = 0; i < outcomes->size(); ++i) {
        const auto& error = (*outcomes)[i].error;
        if (!error) continue;
        const bool alone = std::count(of->begin(), of->end(), (*of)[i]) == 1;
        problems.push_back({(*of)[i], message_of(*error), exit_code_of(*error), may_repeat(*error, alone)});
        if (operations == &puts) forget(lines[i]);
      }
    }
    return problems;
  }

  static std::string change_to(const ImportRecord& record) {
    const std::string& value = record.versions.front().value;
    if (record.type == "counter") return R"("op":"incr","by":)" + value;
    return (record.type == "set" ? R"("op":"sadd","members":)" : R"("op":"hset","fields":)") + value;
  }

  // Fills the contexts in; puts whose key could not be read are taken out and told as problems.
  Result<std::vector<Problem>, Error> read_contexts(std::vector<BatchOperation>& puts,
                                                    std::vector<uint64_t>& lines) {
    std::vector<BatchOperation> gets;
    gets.reserve(puts.size());
    for (const BatchOperation& put : puts)
      gets.push_back({.kind = BatchOperation::Kind::get, .key = put.key});
    // A write that asks for one replica reads from one too, so that it succeeds wherever it can.
    const bool weak = command_.level == "one" || command_.level == "1";
    auto outcomes = call(gets, weak ? "one" : "");
    if (!outcomes) return outcomes.error();
    std::vector<Problem> problems;
    std::vector<BatchOperation> readable;
    std::vector<uint64_t> readable_lines;
    for (size_t i = 0; i < puts.size(); ++i) {
      const BatchOutcome& outcome = (*outcomes)[i];
      if (outcome.error) {
        problems.push_back({lines[i], "reading the context first: " + message_of(*outcome.error),
                            exit_code_of(*outcome.error), may_repeat(*outcome.error, true)});
        continue;
      }
      puts[i].context = outcome.context;
      readable.push_back(std::move(puts[i]));
      readable_lines.push_back(lines[i]);
    }
    puts = std::move(readable);
    lines = std::move(readable_lines);
    return problems;
  }

  Result<std::vector<BatchOutcome>, Error> call(const std::vector<BatchOperation>& operations,
                                                const std::string& level) {
    const WriteOptions options{
        .level = level, .sloppy = session_.settings().sloppy, .timeout = session_.settings().timeout};
    for (int tries = 1;; ++tries) {
      auto outcomes = client_.batch(session_.settings().table, operations, options);
      if (outcomes || outcomes.error().kind != Error::Kind::overloaded || tries == overload_tries_max)
        return outcomes;
      std::this_thread::sleep_for(outcomes.error().retry_after.value_or(std::chrono::seconds(1)));
    }
  }

  client::Client client_;
  const Session& session_;
  const ImportCommand& command_;
  std::atomic<int>& repeats_;
};

void work(Board& board, Sender sender) {
  std::unique_lock lock(board.mutex);
  for (;;) {
    board.changed.wait(lock, [&] { return !board.waiting.empty() || board.closed || board.stopped; });
    if (board.waiting.empty() || board.stopped) return;
    Batch batch = std::move(board.waiting.front());
    board.waiting.pop_front();
    const size_t count = batch.records.size();
    lock.unlock();
    auto result = sender.send(std::move(batch.records));
    lock.lock();
    if (result) {
      for (Problem& problem : *result) add_failure(board, std::move(problem));
      board.imported += count - std::min(result->size(), count);
    } else {
      add_failure(board, {batch.first_line,
                          "and the lines up to " + std::to_string(batch.last_line) + ": " +
                              message_of(result.error()),
                          exit_code_of(result.error())});
      board.stopped = true;
    }
    if (result) board.unfinished.erase(board.unfinished.find(batch.first_line));
    for (const std::string& key : batch.keys) board.keys.erase(key);
    board.changed.notify_all();
  }
}

class Importer {
 public:
  Importer(Session& session, const ImportCommand& command, std::istream& in, ImportFormat format,
           uint64_t bytes)
      : session_(session),
        command_(command),
        in_(in),
        reader_(in, format, command.key_field),
        bytes_(bytes),
        progress_("import") {}

  int run() {
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < command_.parallel; ++i) {
      auto client = session_.connect();
      if (!client) return session_.fail(exit_usage, client.error().message);
      workers.emplace_back(work, std::ref(board_), Sender(std::move(*client), session_, command_, repeats_));
    }
    const bool complete = read_all();
    {
      std::lock_guard lock(board_.mutex);
      board_.closed = true;
      board_.changed.notify_all();
    }
    for (std::thread& worker : workers) worker.join();
    return finish(complete);
  }

 private:
  // False when reading stopped before the end of the file.
  bool read_all() {
    Batch batch;
    for (;;) {
      auto next = reader_.next();
      if (next && !*next) break;
      if (!next) {
        if (next.error().line < command_.from_line && !next.error().fatal) continue;
        {
          std::lock_guard lock(board_.mutex);
          add_failure(board_, {next.error().line, next.error().message, exit_failed});
        }
        if (next.error().fatal) return flush(batch), false;
        continue;
      }
      ImportRecord& record = **next;
      if (record.line < command_.from_line) continue;
      const bool repeated = batch.keys.contains(record.key);
      // A key's second record overwrites the first, so it waits for it.
      if ((repeated || batch.records.size() >= batch_records_max || batch.bytes >= batch_bytes_max) &&
          !flush(batch)) {
        return false;
      }
      if (batch.records.empty()) batch.first_line = record.line;
      batch.last_line = reader_.line();
      for (const client::Version& version : record.versions) batch.bytes += version.value.size();
      batch.bytes += record.key.size();
      batch.keys.insert(record.key);
      batch.records.push_back(std::move(record));
    }
    return flush(batch);
  }

  // Hands a batch to the workers once there is room and nobody writes its keys. False when they have stopped.
  bool flush(Batch& batch) {
    std::unique_lock lock(board_.mutex);
    report(lock);
    if (batch.records.empty()) return !board_.stopped;
    board_.changed.wait(lock, [&] {
      const bool free = std::none_of(batch.keys.begin(), batch.keys.end(),
                                     [&](const std::string& key) { return board_.keys.contains(key); });
      return board_.stopped || (free && board_.waiting.size() < command_.parallel);
    });
    board_.unfinished.insert(batch.first_line);
    if (board_.stopped) return false;
    board_.keys.insert(batch.keys.begin(), batch.keys.end());
    board_.waiting.push_back(std::move(batch));
    batch = Batch();
    board_.changed.notify_all();
    save_position();
    return true;
  }

  // The line from which a later run has to go on: everything before it was tried and answered.
  uint64_t position() const {
    return board_.unfinished.empty() ? reader_.line() + 1 : *board_.unfinished.begin();
  }

  void save_position() {
    if (command_.resume_file.empty() || board_.unfinished.empty()) return;
    std::ofstream(command_.resume_file, std::ios::trunc) << position() << "\n";
  }

  void report(std::unique_lock<std::mutex>& lock) {
    if (!board_.failures.empty()) progress_.clear();
    while (!board_.failures.empty()) {
      const Problem problem = std::move(board_.failures.front());
      board_.failures.pop_front();
      lock.unlock();
      std::cerr << "line " << problem.line << ": " << problem.message << "\n";
      lock.lock();
    }
    const auto at = in_.good() ? in_.tellg() : std::istream::pos_type(-1);
    const double fraction =
        bytes_ == 0 || at < 0 ? -1 : static_cast<double>(at) / static_cast<double>(bytes_);
    progress_.show(fraction, board_.imported);
  }

  int finish(bool complete) {
    std::unique_lock lock(board_.mutex);
    report(lock);
    progress_.clear();
    if (board_.failed_count > problems_shown_max) {
      std::cerr << board_.failed_count - problems_shown_max << " more lines failed\n";
    }
    const bool interrupted = !complete || board_.stopped;
    if (!command_.resume_file.empty() && !interrupted) {
      std::error_code ignored;  // it may never have been written
      std::filesystem::remove(command_.resume_file, ignored);
    }
    if (interrupted) save_position();
    if (interrupted && command_.file != "-") {
      std::cerr << "go on with: covey import " << command_.file << " --from-line " << position() << "\n";
    }
    if (session_.settings().json) {
      Json summary = {
          {"imported", board_.imported}, {"failed", board_.failed_count}, {"complete", !interrupted}};
      if (interrupted) summary["from_line"] = position();
      print_json(summary);
    } else {
      std::cout << "imported " << board_.imported << " records, " << board_.failed_count << " lines failed"
                << (interrupted ? ", stopped before the end" : "") << "\n";
    }
    return board_.code;
  }

  Session& session_;
  const ImportCommand& command_;
  std::istream& in_;
  RecordReader reader_;
  uint64_t bytes_;
  Progress progress_;
  Board board_;
  std::atomic<int> repeats_{0};
};

}  // namespace

int run(Session& session, const ImportCommand& given) {
  ImportCommand command = given;
  if (!command.resume_file.empty()) {
    uint64_t line = 0;
    if (std::ifstream(command.resume_file) >> line) command.from_line = std::max(command.from_line, line);
  }
  const bool csv = command.format == "csv" || (command.format.empty() && command.file.ends_with(".csv"));
  const ImportFormat format = csv ? ImportFormat::csv : ImportFormat::jsonl;
  if (command.file == "-") return Importer(session, command, std::cin, format, 0).run();
  std::ifstream file(command.file, std::ios::binary);
  if (!file) return session.fail(exit_failed, "cannot read " + command.file);
  std::error_code unknown_size;
  const auto bytes = std::filesystem::file_size(command.file, unknown_size);
  return Importer(session, command, file, format, unknown_size ? 0 : bytes).run();
}

}  // namespace covey::cli
