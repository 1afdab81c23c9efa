#include "tests/bench/throughput.h"

#include <algorithm>
#include <cstdio>

#include "tests/bench/sides.h"

namespace covey::bench {
namespace {

Row row_of(const std::string& side, const std::vector<Sample>& samples) {
  const auto all = [&](double Sample::*field) {
    std::vector<double> values;
    for (const Sample& sample : samples) values.push_back(sample.*field);
    return values;
  };
  Row row{.side = side};
  const std::vector<double> rates = all(&Sample::per_second);
  row.per_second = median(rates);
  row.per_second_low = *std::min_element(rates.begin(), rates.end());
  row.per_second_high = *std::max_element(rates.begin(), rates.end());
  row.p50_us = median(all(&Sample::p50_us));
  row.p90_us = median(all(&Sample::p90_us));
  row.p99_us = median(all(&Sample::p99_us));
  row.p999_us = median(all(&Sample::p999_us));
  row.cpu_us = median(all(&Sample::cpu_us));
  for (const Sample& sample : samples) {
    if (row.failures == 0) row.first_failure = sample.first_failure;
    row.failures += sample.failures;
  }
  return row;
}

Case measure_case(const Options& options, Question question, std::vector<std::unique_ptr<Side>>& sides) {
  const bool put = question.operation == Operation::put;
  Case out;
  out.title = std::string(put ? "put, W=" : "get, R=") + std::to_string(question.replicas) + ", pipeline " +
              std::to_string(question.pipeline);
  std::vector<std::vector<Sample>> samples(sides.size());
  for (uint32_t round = 0; round < options.rounds; ++round) {
    question.seed = round + 1;
    for (size_t i = 0; i < sides.size(); ++i) {
      if (sides[i]->answers(question)) samples[i].push_back(sides[i]->measure(question));
    }
  }
  for (size_t i = 0; i < sides.size(); ++i) {
    if (!samples[i].empty()) out.rows.push_back(row_of(sides[i]->name(question), samples[i]));
  }
  return out;
}

}  // namespace

namespace {

// All settings, each with the cases that `questions` tells for a number of nodes.
template <class Start, class Questions>
std::vector<Setting> measure_settings(const Options& options, const Start& start,
                                      const Questions& questions) {
  std::vector<Setting> settings;
  for (const uint32_t nodes : options.nodes) {
    for (const Durability durability : {Durability::sync, Durability::interval, Durability::none}) {
      if (!options.wants(options.durabilities, to_text(durability))) continue;
      TemporaryDirectory directory(options.directory);
      std::fprintf(stderr, "%u node%s, durability %s\n", nodes, nodes == 1 ? "" : "s", to_text(durability));
      auto sides = start(options, nodes, durability, directory.path());
      for (auto& side : sides) side->fill();
      Setting setting{nodes, durability, {}};
      const bool first = settings.empty() || settings.back().nodes != nodes;
      for (const Question& question : questions(nodes, first)) {
        setting.cases.push_back(measure_case(options, question, sides));
        const Case& last = setting.cases.back();
        std::fprintf(stderr, "  %s: %.0f/s\n", last.title.c_str(), last.rows.front().per_second);
      }
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<Setting> measure_throughput(const Options& options) {
  return measure_settings(options, start_sides, [&](uint32_t nodes, bool first) {
    std::vector<Question> questions;
    for (const uint32_t pipeline : options.pipelines) {
      for (uint32_t w = 1; w <= nodes; ++w) questions.push_back({Operation::put, w, pipeline});
    }
    // Reads are the same in every durability.
    for (const uint32_t pipeline : options.pipelines) {
      for (uint32_t r = 1; first && r <= std::min(nodes, 2u); ++r)
        questions.push_back({Operation::get, r, pipeline});
    }
    return questions;
  });
}

std::vector<Setting> measure_columns(const Options& options) {
  return measure_settings(options, start_column_sides, [&](uint32_t nodes, bool) {
    std::vector<Question> questions;
    for (const uint32_t pipeline : options.pipelines)
      questions.push_back({Operation::put, nodes == 1 ? 1u : 2u, pipeline});
    return questions;
  });
}

}  // namespace covey::bench
