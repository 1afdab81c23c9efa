#include <limits>

#include "client/cli/app_parts.h"

namespace covey::cli {
namespace {

const CLI::Range backup_ids(1U, std::numeric_limits<uint32_t>::max());

void add_change(CLI::App& cluster, Parse& parse, const std::string& action, const std::string& help,
                const std::string& example) {
  const auto change = add_command<ClusterChangeCommand>(cluster, parse, action, help, example);
  change.options->action = action;
  change.app->add_option("NODE", change.options->node, "a member's name")->required();
  if (action == "replace")
    change.app->add_option("BY", change.options->by, "the new member that takes its place")->required();
  if (action == "remove" || action == "replace")
    change.app->add_flag("--force", change.options->force, "though it answers, or too few are left");
  change.app->add_flag("--dry-run", change.options->dry_run, "only tell what would move");
  change.app->add_flag("--wait", change.options->wait, "until all that moves has moved");
  add_duration(change.app, "--timeout", change.options->limit, "with --wait: so long at most (10m)");
}

void add_cluster(CLI::App& app, Parse& parse) {
  CLI::App* cluster = app.add_subcommand(
      "cluster", "Look at the cluster, let members come and go; start and stop one on this machine");
  cluster->require_subcommand(1, 1);
  cluster->footer("Example:\n  covey cluster start configs/local && covey cluster status");

  add_command<ClusterStatusCommand>(*cluster, parse, "status",
                                    "Members, their state and whether replicas differ",
                                    "covey cluster status --node 127.0.0.1:7102");
  add_command<ClusterRingCommand>(*cluster, parse, "ring",
                                  "Owners and contents of each partition, as one node sees them",
                                  "covey cluster ring --output json");
  add_change(*cluster, parse, "leave", "Let a node hand over what it holds; its process ends then",
             "covey cluster leave n4 --dry-run");
  add_change(*cluster, parse, "remove", "Go on without a node that is dead",
             "covey cluster remove n2 --wait");
  add_change(*cluster, parse, "replace", "Let a new member take a dead one's place: nothing else moves",
             "covey cluster replace n2 n5 --wait");
  add_change(*cluster, parse, "join",
             "Take back a node that leaves or was removed (a new one joins by itself, by its seeds)",
             "covey cluster join n4");
  const auto start = add_command<ClusterStartCommand>(
      *cluster, parse, "start", "Run one coveyd for each *.json of a folder and wait until they are ready",
      "covey cluster start configs/local\n\n"
      "Each node's output goes to DATA_DIR.log and its process id to DATA_DIR.pid, beside its data_dir, "
      "which is\n"
      "relative to the present folder: stop the cluster from the same one. Nodes that run already are left "
      "as they are.");
  start.app->add_option("DIR", start.options->folder, "folder of node configurations")->required();
  add_duration(start.app, "--timeout", start.options->limit, "wait so long at most (30s)");
  start.app->add_option("--coveyd", start.options->program, "the server (beside this program, else in PATH)");

  const auto stop = add_command<ClusterStopCommand>(
      *cluster, parse, "stop", "Stop the nodes that start has started (exit 1 if one does not stop)",
      "covey cluster stop configs/local");
  stop.app->add_option("DIR", stop.options->folder, "folder of node configurations")->required();
  add_duration(stop.app, "--timeout", stop.options->limit, "wait so long at most (30s)");

  const auto repair = add_command<ClusterRepairCommand>(
      *cluster, parse, "repair",
      "Compare all copies of all partitions, object by object, and repair what differs",
      "covey cluster repair\n\n"
      "Reads everything that is stored, on every node; clients go on reading and writing. Ordinary "
      "differences "
      "heal without it.");
  repair.app->add_flag("--all", repair.options->all, "tell also of partitions that are equal");
  add_duration(repair.app, "--timeout", repair.options->limit,
               "wait so long at most; the nodes go on by themselves (1h)");

  const auto await =
      add_command<AwaitConvergedCommand>(*cluster, parse, "await-converged",
                                         "Wait until all replicas are equal (exit 4 if they are not in time)",
                                         "covey cluster await-converged --timeout 30s");
  add_duration(await.app, "--timeout", await.options->limit, "wait so long at most (60s)");
}

Added<BackupCommand> add_backup_action(CLI::App& backup, Parse& parse, const std::string& action,
                                       const std::string& help, const std::string& example) {
  const auto added = add_command<BackupCommand>(backup, parse, action, help, example);
  added.options->action = action;
  if (action != "delete")
    added.app->add_flag("--all", added.options->all, "every member of the cluster, one after the other");
  return added;
}

void add_backup(CLI::App& app, Parse& parse) {
  CLI::App* backup = app.add_subcommand(
      "backup", "Make, list, verify and delete backups of a running node, in its backup.directory");
  backup->require_subcommand(1, 1);
  backup->footer(
      "Example:\n  covey backup create --all && covey backup list --all\n\n"
      "A backup is restored by: coveyd --config FILE --restore DIR (docs/operations.md)");
  add_backup_action(*backup, parse, "list", "List the backups", "covey backup list --node 127.0.0.1:7102");
  const auto create = add_backup_action(*backup, parse, "create", "Make a backup while the node runs",
                                        "covey backup create --all --keep 7");
  create.app
      ->add_option("--keep", create.options->keep, "then keep so many of the node's (as it is configured)")
      ->check(CLI::Range(1, 10'000));
  const auto verify = add_backup_action(*backup, parse, "verify",
                                        "Read backups and compare all checksums (exit 1 if one is damaged)",
                                        "covey backup verify 3");
  verify.app->add_option("ID", verify.options->id, "which one (all)")->check(backup_ids);
  const auto erase = add_backup_action(
      *backup, parse, "delete", "Delete a backup; others keep what they share", "covey backup delete 3");
  erase.app->add_option("ID", erase.options->id)->required()->check(backup_ids);
  for (CLI::App* app_of : {create.app, verify.app}) {
    auto options = app_of == create.app ? create.options : verify.options;
    app_of->add_flag_callback(
        "--no-wait", [options] { options->wait = false; }, "only begin it; list tells how it went");
  }
}

void add_table(CLI::App& app, Parse& parse) {
  add_command<TablesCommand>(app, parse, "tables", "List the tables", "covey tables");
  CLI::App* table = app.add_subcommand("table", "Make, show or drop a table");
  table->require_subcommand(1, 1);
  table->footer("Example:\n  covey table create readings --conflicts lww --column temp:float64");

  const auto create = add_command<TableCreateCommand>(
      *table, parse, "create", "Make a table, or alter it",
      "covey table create readings --conflicts lww --column temp:float64 --column site:string:/where/site");
  create.app->add_option("NAME", create.options->name)->required();
  create.app->add_option("--conflicts", create.options->conflicts, "keep siblings, or the last write wins")
      ->check(CLI::IsMember({"siblings", "lww"}))
      ->capture_default_str();
  create.app
      ->add_option("--column", create.options->columns,
                   "NAME:TYPE or NAME:TYPE:/json/pointer; may be repeated")
      ->type_name("COLUMN")
      ->allow_extra_args(false);
  const auto show = add_command<TableShowCommand>(*table, parse, "show", "Show a table's definition",
                                                  "covey table show readings");
  show.app->add_option("NAME", show.options->name)->required();
  const auto drop = add_command<TableDropCommand>(
      *table, parse, "drop", "Drop a table with all that it holds", "covey table drop readings");
  drop.app->add_option("NAME", drop.options->name)->required();
}

}  // namespace

void add_cluster_commands(CLI::App& app, Parse& parse) {
  add_cluster(app, parse);
  add_backup(app, parse);
  const auto explain = add_command<ExplainCommand>(
      app, parse, "explain",
      "Tell a key's owners, who is reachable, and whether a read and a write would succeed",
      "covey explain cart:7 -r quorum -w all");
  add_key(explain.app, explain.options->key);
  add_level(explain.app, "-r,--read", explain.options->read_level, "level of the read");
  add_level(explain.app, "-w,--write", explain.options->write_level, "level of the write");
  add_table(app, parse);
}

}  // namespace covey::cli
