// Golden vectors on every instruction set.
#include "gpu/tests/golden.h"

#include "gpu/tests/check.h"

namespace covey::agg::test {

namespace {
std::string isa_name(CpuOptions::Isa isa) { return "isa " + std::to_string(static_cast<int>(isa)); }
}  // namespace

TEST_CASE("golden vectors: every aggregate is the exact one, rounded once, on every instruction set") {
  for_each_golden([&](const GoldenCase& one) {
    std::vector<std::string> encodings;
    Random random(1);
    for (const auto isa : instruction_sets()) {
      const auto backend = make_cpu_backend({.threads = 2, .isa = isa});
      for (const Layout& layout : {Layout{}, Layout{.partitions = 3, .tile_rows = 64, .gaps = 0.3}}) {
        const Stores stores = make_stores(one.schema, one.rows, layout, random);
        const auto partials = scan_of(*backend, one.plan, stores);
        if (!partials) continue;
        check_answers(one.golden, one.plan, *partials, isa_name(isa) + (one.grouped ? " grouped" : ""));
        encodings.push_back(partials->encode());
      }
    }
    for (const std::string& encoding : encodings) CHECK(encoding == encodings[0]);
  });
}

}  // namespace covey::agg::test
