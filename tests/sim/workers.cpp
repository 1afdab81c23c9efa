#include "tests/sim/workers.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>

#include "replication/codec.h"
#include "replication/result.h"
#include "tests/sim/failure.h"

namespace covey::sim {
namespace {

using Clock = std::chrono::steady_clock;

std::string encode_outcome(const Outcome& outcome) {
  std::string bytes;
  Writer out(bytes);
  out.u8(outcome.failed);
  out.u8(outcome.unreadable);
  out.bytes(outcome.what);
  out.varint(outcome.line);
  out.u64(outcome.digest);
  out.u64(outcome.virtual_us);
  out.varint(outcome.totals.counts().size());
  for (const auto& [name, count] : outcome.totals.counts()) {
    out.bytes(name);
    out.varint(count);
  }
  out.varint(outcome.trace.size());
  for (const auto& line : outcome.trace) out.bytes(line);
  out.varint(outcome.labelled.size());
  for (const auto& [label, shown] : outcome.labelled) {
    out.bytes(label);
    out.bytes(shown);
  }
  return bytes;
}

Outcome decode_outcome(std::string_view bytes) {
  Reader in(bytes);
  Outcome outcome;
  outcome.failed = in.u8() != 0;
  outcome.unreadable = in.u8() != 0;
  outcome.what = in.bytes();
  outcome.line = in.varint();
  outcome.digest = in.u64();
  outcome.virtual_us = in.u64();
  for (uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    std::string name(in.bytes());
    outcome.totals.add(name, in.varint());
  }
  for (uint64_t left = in.varint(); left > 0 && in.ok(); --left) outcome.trace.emplace_back(in.bytes());
  for (uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    std::string label(in.bytes());
    outcome.labelled.emplace_back(label, in.bytes());
  }
  COVEY_ASSERT(in.done());
  return outcome;
}

struct Worker {
  pid_t process = -1;
  int pipe = -1;
  std::FILE* errors = nullptr;
  std::string received;
  size_t next = 0;  // the scenario that it works on
  Clock::time_point since;
};

class Pool {
 public:
  Pool(size_t count, const WorkerOptions& options,
       const std::function<std::vector<std::string>(size_t)>& scenario,
       const std::function<bool(size_t, const Outcome&)>& done)
      : count_(count), options_(options), scenario_(scenario), done_(done) {}
  ~Pool() {
    for (Worker& worker : workers_) end(worker);
  }

  void run() {
    std::fflush(nullptr);
    stride_ = std::max<size_t>(1, std::min(options_.processes, count_));
    workers_.resize(stride_);
    for (size_t i = 0; i < stride_; ++i) begin(workers_[i], i);
    while (delivered_ < count_ && !stopped_) {
      std::vector<pollfd> polled;
      for (Worker& worker : workers_) polled.push_back({worker.pipe, POLLIN, 0});
      (void)poll(polled.data(), polled.size(), 1000);
      for (size_t i = 0; i < workers_.size() && !stopped_; ++i) {
        if (polled[i].revents != 0)
          receive(workers_[i]);
        else if (workers_[i].pipe >= 0)
          watch(workers_[i]);
      }
    }
  }

 private:
  void begin(Worker& worker, size_t first) {
    worker.next = first;
    worker.since = Clock::now();
    worker.received.clear();
    if (first >= count_) return;
    int ends[2];
    if (pipe(ends) != 0) throw ScenarioError("no pipe for a worker");
    worker.errors = std::tmpfile();
    worker.process = fork();
    if (worker.process < 0) throw ScenarioError("no process for a worker");
    if (worker.process == 0) {
      close(ends[0]);
      if (worker.errors != nullptr) dup2(fileno(worker.errors), STDERR_FILENO);
      work(first, ends[1]);
    }
    close(ends[1]);
    worker.pipe = ends[0];
  }

  [[noreturn]] void work(size_t first, int out) {
    for (size_t i = first; i < count_; i += stride_) {
      std::string body = encode_outcome(run_scenario(scenario_(i), options_.traced));
      std::string record;
      Writer(record).u64(body.size());
      record += body;
      for (size_t at = 0; at < record.size();) {
        ssize_t written = write(out, record.data() + at, record.size() - at);
        if (written <= 0) _exit(1);
        at += static_cast<size_t>(written);
      }
    }
    _exit(0);
  }

  void receive(Worker& worker) {
    char buffer[65536];
    ssize_t size = read(worker.pipe, buffer, sizeof buffer);
    if (size > 0) {
      worker.received.append(buffer, static_cast<size_t>(size));
      while (worker.received.size() >= 8) {
        uint64_t length = Reader(worker.received).u64();
        if (worker.received.size() < 8 + length) return;
        deliver(worker.next, decode_outcome(std::string_view(worker.received).substr(8, length)));
        worker.received.erase(0, 8 + length);
        worker.next += stride_;
        worker.since = Clock::now();
      }
      return;
    }
    std::string why = "the process ended: " + end(worker);
    if (worker.next >= count_) return;
    replace(worker, why);
  }

  void watch(Worker& worker) {
    if (worker.next >= count_ || Clock::now() - worker.since < std::chrono::seconds(options_.seconds_max))
      return;
    kill(worker.process, SIGKILL);
    end(worker);
    replace(worker,
            "it did not end within " + std::to_string(options_.seconds_max) + " seconds of real time");
  }

  void replace(Worker& worker, const std::string& why) {
    Outcome outcome;
    outcome.failed = true;
    outcome.what = why;
    size_t failed = worker.next;
    deliver(failed, std::move(outcome));
    if (!stopped_) begin(worker, failed + stride_);
  }

  // The last that it said.
  std::string end(Worker& worker) {
    if (worker.pipe < 0) return "";
    close(worker.pipe);
    worker.pipe = -1;
    kill(worker.process, SIGKILL);  // it is ending, or nobody wants what it would find
    waitpid(worker.process, nullptr, 0);
    std::string said;
    if (worker.errors != nullptr) {
      char line[512];
      std::rewind(worker.errors);
      while (std::fgets(line, sizeof line, worker.errors) != nullptr) said = line;
      std::fclose(worker.errors);
      worker.errors = nullptr;
    }
    while (!said.empty() && said.back() == '\n') said.pop_back();
    return said;
  }

  void deliver(size_t index, Outcome outcome) {
    waiting_.emplace(index, std::move(outcome));
    while (!waiting_.empty() && waiting_.begin()->first == delivered_ && !stopped_) {
      stopped_ = !done_(delivered_, waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      ++delivered_;
    }
  }

  size_t count_;
  WorkerOptions options_;
  const std::function<std::vector<std::string>(size_t)>& scenario_;
  const std::function<bool(size_t, const Outcome&)>& done_;
  size_t stride_ = 1;
  std::vector<Worker> workers_;
  std::map<size_t, Outcome> waiting_;
  size_t delivered_ = 0;
  bool stopped_ = false;
};

}  // namespace

void run_in_workers(size_t count, const WorkerOptions& options,
                    const std::function<std::vector<std::string>(size_t)>& scenario,
                    const std::function<bool(size_t, const Outcome&)>& done) {
  Pool(count, options, scenario, done).run();
}

Outcome run_in_worker(const std::vector<std::string>& lines, bool traced) {
  Outcome result;
  run_in_workers(
      1, {.traced = traced}, [&](size_t) { return lines; },
      [&](size_t, const Outcome& outcome) {
        result = outcome;
        return true;
      });
  return result;
}

}  // namespace covey::sim
