#include "client/cli/app_parts.h"

namespace covey::cli {

void add_agg_command(CLI::App& app, Parse& parse) {
  const auto command =
      add_command<AggCommand>(app, parse, "agg", "Aggregate a table's columns, exactly",
                              "covey --table readings agg 'count, sum(temp), stddev(temp, 1)' --where 'temp "
                              ">= 20 and site in (eu, us)' "
                              "--by site\n"
                              "  covey --table readings agg 'histogram(temp, 0, 10, 20, 30)' --plot\n\n"
                              "Aggregates: count, count(C), sum(C), avg(C), min(C), max(C), var(C[, DDOF]), "
                              "stddev(C[, DDOF]), median(C),\n"
                              "quantile(C, Q...), distinct(C), histogram(C, EDGE...), first(C), last(C).\n"
                              "Conditions, joined by and: C = != < <= > >= VALUE, C in (A, B), C between A "
                              "and B, C is null, C is not "
                              "null.");
  AggCommand& options = *command.options;
  command.app->add_option("AGGREGATES", options.words, "separated by commas")->required();
  command.app->add_option("--where", options.where, "conditions that rows must fulfil");
  command.app->add_option("--prefix", options.prefix, "only keys that begin so");
  command.app->add_option("--by", options.by, "columns to group by, separated by commas")
      ->delimiter(',')
      ->type_name("COLUMN");
  command.app->add_option("--limit-groups", options.limit_groups, "fail beyond so many groups (10,000)")
      ->check(at_least_one, "");
  command.app->add_flag("--exact", options.exact, "exact quantiles (else within 0.4 %)");
  command.app->add_flag("--available", options.available, "leave out partitions that can't be answered");
  command.app->add_option("--siblings", options.siblings, "which version of a key with siblings counts")
      ->check(CLI::IsMember({"latest", "min", "max", "skip"}))
      ->capture_default_str();
  command.app->add_option("--device", options.device, "who computes")
      ->check(CLI::IsMember({"auto", "cpu", "gpu"}))
      ->capture_default_str();
  command.app
      ->add_option("--verify", options.verify,
                   "quorum: most owners of each partition must give the same bits")
      ->check(CLI::IsMember({"none", "quorum"}))
      ->capture_default_str();
  command.app->add_flag("--plot", options.plot, "bars, or a histogram, instead of a table");
  command.app->add_flag("--profile", options.profile, "where the time went");
}

}  // namespace covey::cli
