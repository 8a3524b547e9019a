#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "base/error.hpp"
#include "cli/commands.hpp"
#include "sink/plugin_call.hpp"

int main(int argc, char** argv) {
  namespace cli = tide::cli;
  cli::Options options;
  CLI::App app{
      "Tide Relay moves events from a PostgreSQL outbox to message brokers: once, in order, at once.\n"
      "An application calls tide.outbox_publish() in its own transaction; the relay delivers what was committed."};
  app.name("tide-relay");
  app.set_version_flag("--version", TIDE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "A first run:\n"
      "  tide-relay init --postgres-url postgresql://localhost/shop\n"
      "  psql postgresql://localhost/shop\n"
      "    SELECT tide.outbox_create('orders');\n"
      "    SELECT tide.relay_set_outbox('orders-to-nats', 'orders', 'nats-relay', '{\"sink_type\": \"nats\",\n"
      "      \"url\": \"nats://localhost:4222\", \"subject\": \"orders.{op}\"}');\n"
      "    SELECT tide.relay_enable('orders-to-nats');\n"
      "  tide-relay run --postgres-url postgresql://localhost/shop\n"
      "\n"
      "Exit codes: 0 done, 1 failed while running, 2 usage or configuration.");

  int (*command)(const cli::Options&) = nullptr;
  const auto add = [&](CLI::App& parent, const char* name, const char* help, int (*what)(const cli::Options&)) {
    auto* sub = parent.add_subcommand(name, help);
    if (what != nullptr) sub->callback([&command, what] { command = what; });
    return sub;
  };
  const auto config = [&](CLI::App* sub) {
    sub->add_option("--config", options.config_file,
                    std::string("Configuration file (default: ") + cli::kDefaultConfig + ")");
  };
  const auto postgres = [&](CLI::App* sub) {
    sub->add_option("--postgres-url", options.postgres_url,
                    "PostgreSQL, as postgresql://user@host:port/database; goes before the file's [postgres] url");
  };

  auto* init = add(app, "init", "Install or upgrade the schema tide; safe to run again", cli::init);
  config(init), postgres(init);
  init->add_flag("--take-over", options.take_over,
                 "Make a schema of the extension tide this program's own, and drop the extension");

  auto* run = add(app, "run", "Deliver events until SIGTERM or Ctrl-C", cli::run);
  config(run), postgres(run);
  run->add_flag("--once", options.once, "Deliver what is committed now, then exit");

  auto* check = add(app, "check", "Validate the configuration without delivering anything", cli::check);
  config(check), postgres(check);
  check->add_flag("--connect", options.connect,
                  "Also reach PostgreSQL and every sink, and check the pipelines set in the database");

  auto* status = add(app, "status", "Show pipelines, their lag and their last error", cli::status);
  config(status), postgres(status);
  status->add_flag("--json", options.json, "As JSON, for programs");

  auto* accept = add(app, "accept-restore", "Let pipelines go on in a database that was restored from a backup",
                     cli::accept_restore);
  config(accept), postgres(accept);
  accept->footer(
      "Pipelines go on from where they stood when the backup was made: what was delivered since, and is in the "
      "backup,\n"
      "is sent again. Make sure that no relay runs on the database that the backup is of.");

  auto* plugins =
      add(app, "plugins", "Show the sink plugins and their options; write and test one of your own", nullptr);
  config(plugins);
  plugins->require_subcommand(0, 1);
  plugins->callback([&] {
    if (command == nullptr) command = cli::list_plugins;
  });
  config(add(*plugins, "list", "The plugins that are installed", cli::list_plugins));
  auto* info = add(*plugins, "info", "A plugin's options, as a table", cli::plugin_info);
  config(info);
  info->add_option("NAME", options.plugin, "A plugin's id or sink type, such as nats")->required();
  auto* fresh = add(*plugins, "new", "Write a project for a plugin of your own, ready to build", cli::new_plugin);
  fresh->add_option("NAME", options.plugin, "The plugin's name, in lower_case: its file, its id and its sink_type")
      ->required();
  fresh->add_option("--language", options.language, "c or c++ (default: c++)")->check(CLI::IsMember({"c", "c++"}));
  fresh->add_option("--build", options.build_system, "meson or cmake (default: meson)")
      ->check(CLI::IsMember({"meson", "cmake"}));
  fresh->add_option("--dir", options.folder, "Where to (default: a folder of that name)");

  auto* conformance = add(*plugins, "test", "Try a plugin against the rules of the plugin interface", cli::test_plugin);
  conformance->add_option("FILE", options.plugin, "The plugin's file, wherever it lies")->required();
  conformance->add_option(
      "--sink-config", options.sink_config,
      "Publish for real, to the sink of this file: its configuration as JSON, or FILE.toml of a relay with "
      "one pipeline");
  conformance->add_option("--check", options.check)->group("");  // which `plugins test` starts for each
  conformance->footer(
      "Each check runs in a process of its own, so that a plugin that hangs or crashes is told. With --sink-config "
      "some\n"
      "20,000 small messages are published, and a few large ones: name a sink that is for tests.");

  auto* letters = add(app, "dead-letters",
                      "Look at events that a sink rejected for good; send them again or discard them", nullptr);
  letters->require_subcommand(1);
  letters->footer(
      "A dead letter is an event that its sink can never store as it is: too large, a subject that is not valid, a\n"
      "template value that is missing. Mend the cause, then send it again:\n"
      "  tide-relay dead-letters list --pipeline orders-to-nats\n"
      "  tide-relay dead-letters retry --pipeline orders-to-nats\n"
      "  tide-relay dead-letters discard --id 17 18\n"
      "A letter goes only to the pipeline that rejected it, with the key it had, and is removed once it is stored.\n"
      "Rejected again, it stays, with the new error. The login needs the role tide_admin; for list, tide_relay will "
      "do.");
  const auto pipeline = [&](CLI::App* sub, const char* help) {
    return sub->add_option("--pipeline", options.pipeline, help)->type_name("NAME");
  };
  auto* list =
      add(*letters, "list", "The dead letters, oldest first: why each was rejected, and when", cli::list_dead_letters);
  config(list), postgres(list);
  pipeline(list, "Only those of this pipeline");
  list->add_flag("--json", options.json, "As JSON, for programs, with payload and headers");
  const auto selection = [&](CLI::App* sub) {
    config(sub), postgres(sub);
    auto* which = sub->add_option_group("Which letters", "One of these is needed");
    pipeline(which, "Those of this pipeline");
    which->add_option("--id", options.letters, "Those with these ids, as list shows them; all of them or none")
        ->type_name("ID");
    which->add_flag("--all", options.all, "Those of every pipeline");
    which->require_option(1);
  };
  selection(add(*letters, "retry", "Send dead letters again", cli::retry_dead_letters));
  selection(add(*letters, "discard", "Remove dead letters for good", cli::discard_dead_letters));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? cli::kDone : cli::kUsage;
  }
  tide::name_plugin_on_crash();
  std::signal(SIGPIPE, SIG_IGN);  // a broken connection is an error of that connection, not the end of the program
  try {
    return command(options);
  } catch (const tide::ConfigError& e) {
    std::cerr << e.what() << '\n';
    return cli::kUsage;
  } catch (const std::exception& e) {
    std::cerr << "tide-relay: " << e.what() << '\n';
    return cli::kFailed;
  }
}
