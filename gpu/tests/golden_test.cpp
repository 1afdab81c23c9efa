// Golden vectors on every instruction set.
#include "gpu/tests/golden.h"

#include "gpu/tests/check.h"

namespace covey::agg::test {

namespace {
std::string isa_name(CpuOptions::Isa isa) { return "isa " + std::to_string(static_cast<int>(isa)); }
}  // namespace

TEST_CASE("golden vectors: every aggregate is the exact one, rounded once, on every instruction set") {
  const Schema schema{{{"x", ColumnType::kFloat64}, {"g", ColumnType::kString}}};
  for (const Golden& golden : read_golden()) {
    Schema typed = schema;
    typed.columns[0].type = golden.type;
    std::vector<Row> rows;
    for (const Value& value : golden.values) rows.push_back({0, {value, std::string("a")}, {}});
    for (const bool grouped : {false, true}) {
      const auto plan = plan_of(typed, queries_for(golden, grouped));
      if (!plan) continue;
      std::vector<std::string> encodings;
      Random random(1);
      for (const auto isa : instruction_sets()) {
        const auto backend = make_cpu_backend({.threads = 2, .isa = isa});
        for (const Layout& layout : {Layout{}, Layout{.partitions = 3, .tile_rows = 64, .gaps = 0.3}}) {
          const Stores stores = make_stores(typed, rows, layout, random);
          const auto partials = scan_of(*backend, *plan, stores);
          if (!partials) continue;
          check_answers(golden, *plan, *partials, isa_name(isa) + (grouped ? " grouped" : ""));
          encodings.push_back(partials->encode());
        }
      }
      for (const std::string& encoding : encodings) CHECK(encoding == encodings[0]);
    }
  }
}

}  // namespace covey::agg::test
