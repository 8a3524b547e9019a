#include "relay/relay.hpp"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "base/log.hpp"
#include "config/sink_config.hpp"
#include "relay/catalog.hpp"
#include "schema/schema.hpp"
#include "sink/plugin_call.hpp"
#include "source/letter_reader.hpp"
#include "source/outbox_reader.hpp"

namespace tide {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kRound{500};  // how soon a pipeline that became free is taken over
constexpr seconds kCatalogEvery{5};  // covers a notification that was missed
constexpr seconds kHoldMisconfigured{60};
constexpr seconds kHoldFailed{5};
constexpr milliseconds kLockLimit{2000};
constexpr seconds kRememberEvery{5};
// Ids that a database may go back without a word from people: what a failover takes back. A pipeline that begins anew
// treats as many events as sent before, and lets the sink recognise them.
constexpr std::int64_t kGoesBack = 131'072;
constexpr milliseconds kSweepEvery{10'000};
constexpr std::int64_t kSweepRows = 5000;

// A pooler in transaction mode gives each transaction another session: locks, LISTEN and prepared statements would be
// lost without a word. Seen by keeping one session busy: the other then answers from another backend.
void refuse_transaction_pooler(pg::Session& one, const pg::Settings& settings) {
  pg::Session other(settings);
  const auto backend = [](pg::Session& session) { return session.query("SELECT pg_backend_pid()").integer(0, 0); };
  const auto before = backend(one);
  other.begin();
  const auto taken = backend(other);
  const auto after = backend(one);
  other.rollback();
  if (before == after && before != taken) return;
  throw Error("PostgreSQL is reached through a pooler in transaction mode (one session was served by backends " +
              std::to_string(before) + " and " + std::to_string(after) +
              "); a relay needs sessions of its own: name PostgreSQL itself in the URL, or a pool in session mode");
}

// What another try may well get: somebody held a lock, or PostgreSQL was short of something.
bool passes(const pg::SqlError& error) {
  const auto& state = error.sqlstate;
  return state.starts_with("40") || state.starts_with("53") || state == "55P03" || state == "57014";
}

std::string fingerprint_of(const PipelineSpec& spec) {
  return spec.outbox + '\n' + spec.group + '\n' + spec.version + '\n' + to_json(spec.sink);
}

}  // namespace

Relay::Relay(Settings settings, std::stop_token stop, int stop_fd)
    : settings_(std::move(settings)),
      stop_(std::move(stop)),
      stop_fd_(stop_fd),
      plugins_(settings_.plugin_folders),
      positions_(settings_.state_folder),
      memory_(static_cast<std::size_t>(settings_.config.relay.buffer_mb) << 20) {}

Relay::~Relay() {
  stop_all();
}

pg::Settings Relay::postgres(const std::string& url, const char* name) const {
  return {url, name, milliseconds(settings_.config.postgres.deadline_ms)};
}

EnvPolicy Relay::env_of(const PipelineSpec& spec) const {
  return spec.from_file ? EnvPolicy::any() : EnvPolicy::only(settings_.config.catalog.env_allow);
}

void Relay::check_pipelines(const FileConfig& config) const {
  Problems problems;
  for (const auto& spec : config.pipelines) {
    try {
      if (spec.enabled) validate(spec, plugins_.find(sink_type_of(spec, env_of(spec)))->options, env_of(spec));
    } catch (const ConfigError& e) {
      problems.insert(problems.end(), e.problems().begin(), e.problems().end());
    } catch (const Error& e) {
      problems.push_back({spec.where, e.what()});
    }
  }
  if (!problems.empty()) throw ConfigError(problems);
}

RunResult Relay::run() {
  check_pipelines(settings_.config);
  Backoff backoff(milliseconds(250), seconds(5));
  while (!stop_.stop_requested()) {
    try {
      serve();
      break;
    } catch (const Error& e) {
      // Said before what runs is stopped: that may take as long as PostgreSQL is silent.
      if (!settings_.once) spdlog::error("{}; stopping what runs, to try again", e.what());
      service_.status(e.what());
      told_.clear();
      if (readers_) readers_->give_up();
      stop_all();
      service_.alive();
      if (settings_.once) throw;
      if (connected_) backoff.reset();
      connected_ = false;
      const auto pause = backoff.next();
      spdlog::info("next try in {} ms", pause.count());
      pollfd fd{stop_fd_, POLLIN, 0};
      ::poll(&fd, 1, static_cast<int>(pause.count()));
      if (settings_.reload_asked()) reload();
    }
  }
  service_.stopping();
  stop_all();
  remember_positions();
  return result_;
}

// The file was changed. What is wrong with the new one leaves the old one in force.
void Relay::reload() {
  service_.reloading();
  try {
    auto fresh = settings_.load_config();
    check_pipelines(fresh);
    const auto& now = settings_.config;
    if (fresh.postgres != now.postgres || fresh.relay != now.relay || fresh.plugins != now.plugins ||
        fresh.log.format != now.log.format) {
      spdlog::warn(
          "the configuration was read again, but changes to [postgres], [relay], [plugins] and log.format count only "
          "from the next start on");
    }
    settings_.config.pipelines = std::move(fresh.pipelines);
    settings_.config.catalog = std::move(fresh.catalog);
    spdlog::set_level(spdlog::level::from_str(fresh.log.level == "warn" ? "warning" : fresh.log.level));
    catalog_changed_ = true;
    held_.clear();
    spdlog::info("the configuration was read again: {} pipelines in files", settings_.config.pipelines.size());
  } catch (const ConfigError& e) {
    spdlog::error("the configuration that was read again can't be used, the one before stays in force:\n{}", e.what());
  }
  if (ready_) service_.ready();
}

// After a round that PostgreSQL answered.
void Relay::tell_service() {
  const auto hanging = std::count_if(running_.begin(), running_.end(), [](const auto& r) { return r.second->hangs; });
  // Only a new process is rid of a plugin that hangs, which would end the work of the others: so when none is left.
  if (running_.empty() || std::cmp_less(hanging, running_.size())) service_.alive();
  auto text = std::to_string(running_.size()) + (running_.size() == 1 ? " pipeline runs here" : " pipelines run here");
  if (hanging > 0) text += ", of which " + std::to_string(hanging) + " hang in a plugin";
  if (text != told_) service_.status(text);
  told_ = text;
  if (!std::exchange(ready_, true)) service_.ready();
}

void Relay::remember_positions() {
  remember_at_ = Clock::now() + kRememberEvery;
  try {
    positions_.save();
  } catch (const Error& e) {
    spdlog::warn("{}", e.what());
    remember_at_ += std::chrono::minutes(10);
  }
}

void Relay::serve() {
  watch_ = std::make_unique<pg::Session>(postgres(settings_.postgres_url, "tide-relay"));
  watch_->require_writes();
  // The others go straight to that server: one of the URL that is silent would cost each of them its timeout.
  const auto url = watch_->server_url();
  refuse_transaction_pooler(*watch_, postgres(url, "tide-relay"));
  installation_ = check_schema(*watch_, schema_source());
  offsets_ = std::make_unique<OffsetStore>(postgres(url, "tide-relay offsets"), positions_);
  // An address may lead to another server at any time. There a position read here may be ahead of what is committed,
  // and ids below it be drawn again: nobody reads from where the offsets are not.
  const auto owner = offsets_->identity();
  watch_->require_beside(owner);
  // Somebody who locks a table, for VACUUM FULL say, holds up its own pipelines and no other.
  const auto lock_limit = std::min(kLockLimit, milliseconds(settings_.config.postgres.deadline_ms / 2));
  readers_ = std::make_unique<pg::SessionPool>(
      postgres(url, "tide-relay reader"), static_cast<std::size_t>(settings_.config.postgres.connections),
      [owner, lock_limit](pg::Session& session) {
        session.require_beside(owner);
        OutboxReader::prepare_session(session);
        session.query("SET lock_timeout = " + std::to_string(lock_limit.count()));
      });
  watch_->listen("tide_wake", [this](const std::string& payload) {
    std::int64_t outbox_id = 0;
    std::from_chars(payload.data(), payload.data() + payload.size(), outbox_id);
    for (const auto& [name, r] : running_) {
      if (r->outbox_id == outbox_id) r->pipeline->wake();
    }
  });
  watch_->listen("tide_pipelines", [this](const std::string& pipeline) {
    catalog_changed_ = letters_changed_ = true;
    if (pipeline.empty()) restore_accepted_ = true;
  });
  catalog_changed_ = true;
  connected_ = true;
  spdlog::info("connected to PostgreSQL, installation {}", installation_);

  if (settings_.once) {
    for (const auto& spec : wanted()) take(spec);
    auto next_beat = Clock::now();
    while (!running_.empty() && !stop_.stop_requested()) {
      if (Clock::now() >= next_beat) {
        next_beat = Clock::now() + kRound;
        offsets_->beat();
        tell_hanging();
        if (std::all_of(running_.begin(), running_.end(), [](const auto& r) { return r.second->hangs; }))
          throw Error("every pipeline that is left hangs in a plugin");
      }
      watch_->wait(milliseconds(10), stop_fd_);
      reap();
    }
    return;
  }
  auto next_round = Clock::now();
  while (!stop_.stop_requested()) {
    if (settings_.reload_asked()) reload();
    if (std::exchange(restore_accepted_, false)) {
      offsets_->read_mark();
      held_.clear();
    }
    if (Clock::now() >= next_round || catalog_changed_) {
      next_round = Clock::now() + kRound;
      round();
      // What a new pipeline has not delivered is kept once it has an offset.
      if (!sweeper_.joinable()) sweeper_ = std::jthread([this](const std::stop_token& stop) { sweep(stop); });
      tell_service();
      if (Clock::now() >= remember_at_) remember_positions();
    }
    watch_->wait(kRound, stop_fd_);
  }
}

// Brings what runs in line with what is wanted.
void Relay::round() {
  reap();
  offsets_->beat();
  tell_hanging();
  const auto specs = wanted();
  for (auto& [name, r] : running_) {
    const auto is_it = [&](const PipelineSpec& s) { return s.name == name && fingerprint_of(s) == r->fingerprint; };
    if (std::none_of(specs.begin(), specs.end(), is_it)) r->thread.request_stop();
  }
  for (const auto& spec : specs) {
    if (!running_.contains(spec.name)) take(spec);
  }
  if (letters_changed_ || Clock::now() >= letters_at_) {
    stop_deleted();
    pass_letters_on();
  }
}

// Those whose offset was deleted, for they can commit nothing: what is still wanted under their name begins anew.
void Relay::stop_deleted() {
  std::string ids;
  for (const auto& [name, r] : running_) ids += (ids.empty() ? "{" : ",") + std::to_string(r->offset_id);
  if (ids.empty()) return;
  const auto rows = watch_->query(
      "SELECT id FROM unnest($1::bigint[]) id WHERE NOT EXISTS (SELECT FROM tide.consumer_offsets"
      " WHERE offset_id = id)",
      {ids + '}'});
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (const auto& [name, r] : running_) {
      if (r->offset_id == rows.integer(row, 0)) r->thread.request_stop();
    }
  }
}

// Tells those pipelines that have dead letters to send again: one question for all of them.
void Relay::pass_letters_on() {
  letters_changed_ = false;
  letters_at_ = Clock::now() + kCatalogEvery;
  std::string names;
  for (const auto& [name, r] : running_) names += (names.empty() ? "{\"" : ",\"") + name + '"';
  if (names.empty()) return;
  const auto rows = watch_->query(
      "SELECT name FROM unnest($1::text[]) name WHERE EXISTS (SELECT FROM tide.dead_letter_messages m"
      " WHERE m.pipeline = name AND m.state = 'retrying')",
      {names + '}'});
  for (std::size_t row = 0; row < rows.size(); ++row) {
    running_.at(std::string(rows.at(row, 0)))->pipeline->retry_letters();
  }
}

std::vector<PipelineSpec> Relay::wanted() {
  if (!settings_.config.catalog.enabled) {
    catalog_changed_ = false;
    catalog_.clear();
  } else if (catalog_changed_ || Clock::now() >= catalog_at_) {
    catalog_changed_ = false;
    catalog_at_ = Clock::now() + kCatalogEvery;
    catalog_ = read_catalog(*watch_, settings_.config.catalog.data_dir);
  }
  std::vector<PipelineSpec> specs;
  const auto& from_file = settings_.config.pipelines;
  for (const auto& spec : from_file) {
    if (spec.enabled) specs.push_back(spec);
  }
  for (const auto& spec : catalog_) {
    const bool hidden =
        std::any_of(from_file.begin(), from_file.end(), [&](const PipelineSpec& s) { return s.name == spec.name; });
    if (spec.enabled && !hidden) specs.push_back(spec);
  }
  return specs;
}

void Relay::take(const PipelineSpec& spec) {
  const auto fingerprint = fingerprint_of(spec);
  if (const auto held = held_.find(spec.name); held != held_.end()) {
    if (held->second.fingerprint == fingerprint && Clock::now() < held->second.until) return;
    held_.erase(held);
  }
  try {
    start(spec, fingerprint);
  } catch (const pg::SqlError& e) {
    spdlog::error("{}: {}", spec.where, e.what());
    worse(passes(e) ? RunResult::failed : RunResult::misconfigured);
    hold(spec.name, fingerprint, passes(e) ? kHoldFailed : kHoldMisconfigured);
  }
}

// For people: where it can't be, that is no reason to stop anything.
void Relay::note(const std::string& name, std::int64_t offset_id, const std::string& state, const std::string& text) {
  try {
    offsets_->note(offset_id, state, text);
  } catch (const pg::SqlError& e) {
    spdlog::warn("pipeline '{}': its state can't be noted: {}", name, e.what());
  }
}

void Relay::start(const PipelineSpec& spec, const std::string& fingerprint) {
  Pipeline::Parts parts;
  std::string fault;
  try {
    parts.plugin = plugins_.find(sink_type_of(spec, env_of(spec)));
    parts.config = validate(spec, parts.plugin->options, env_of(spec));
  } catch (const ConfigError& e) {
    fault = e.what();
  } catch (const Error& e) {
    fault = spec.where + ": " + e.what();
  }
  const auto owned = offsets_->acquire(spec.name, spec.outbox, spec.group,
                                       parts.config.settings.start == Start::latest ? "latest" : "earliest");
  if (!owned) {
    if (!settings_.once) return;  // another relay has it; the next round asks again
    spdlog::error("{}: another relay is running it; its status names which", spec.where);
    worse(RunResult::failed);
    return;
  }
  if (fault.empty() && owned->restored) {
    fault = spec.where +
            ": this database was restored from a dump or copied, and where the pipeline stands was written by another "
            "server. It stands still, lest events are lost or sent twice. Read \"Restoring a database\" in the "
            "documentation of the extension; then: tide-relay accept-restore";
  } else if (fault.empty() && owned->behind > kGoesBack) {
    fault = spec.where + ": this database went back to an earlier state: the pipeline had come to event " +
            std::to_string(owned->position.last_id + owned->behind) + " and is at event " +
            std::to_string(owned->position.last_id) +
            " now. It stands still, lest events are sent twice. To have all that the database holds after that event "
            "sent again: tide-relay accept-restore";
  } else if (owned->behind > 0) {
    spdlog::warn(
        "{}: the database went back: the pipeline had come to event {} and is at event {} now. What it holds after "
        "that is "
        "sent again, for the sink to recognise",
        spec.where, owned->position.last_id + owned->behind, owned->position.last_id);
  }
  if (!fault.empty()) {
    spdlog::error("{}", fault);
    note(spec.name, owned->offset_id, "misconfigured", fault);
    offsets_->release(owned->offset_id);
    worse(RunResult::misconfigured);
    hold(spec.name, fingerprint, kHoldMisconfigured);
    return;
  }

  auto running = std::make_unique<Running>();
  auto& r = *running;
  r.fingerprint = fingerprint;
  r.offset_id = owned->offset_id;
  r.outbox_id = owned->outbox_id;
  parts.name = spec.name;
  parts.source =
      std::make_unique<OutboxReader>(*readers_, owned->outbox_id, spec.outbox, installation_ + '/' + spec.outbox + '/');
  parts.letters = std::make_unique<LetterReader>(*readers_, spec.name, spec.outbox, spec.version);
  parts.offsets = offsets_.get();
  parts.owned = *owned;
  parts.memory = &memory_;
  parts.once = settings_.once;
  r.pipeline = std::make_unique<Pipeline>(std::move(parts));
  r.thread = std::jthread([this, &r](const std::stop_token& stop) {
    try {
      r.pipeline->run(stop);
    } catch (const pg::ConnectionLost& e) {
      r.lost_postgres = true;
      r.error = e.what();
    } catch (const pg::SqlError& e) {
      r.deleted = e.sqlstate == OffsetStore::kDeleted;
      r.error = e.what();
    } catch (const std::exception& e) {
      r.error = e.what();
    }
    r.done = true;
    ended_.notify();
  });
  running_.emplace(spec.name, std::move(running));
}

// Buries pipelines whose thread has ended. Throws pg::ConnectionLost where PostgreSQL was the reason.
void Relay::reap() {
  for (auto it = running_.begin(); it != running_.end();) {
    if (!it->second->done) {
      ++it;
      continue;
    }
    const auto name = it->first;
    const auto ended = std::move(it->second);
    it = running_.erase(it);
    ended->thread.join();
    if (ended->lost_postgres) throw pg::ConnectionLost("pipeline '" + name + "': " + ended->error);
    if (ended->deleted) {
      catalog_changed_ = true;  // it may be wanted no more, or otherwise
      spdlog::info("pipeline '{}': {}", name, ended->error);
    } else if (!ended->error.empty()) {
      spdlog::error("pipeline '{}': {}", name, ended->error);
      note(name, ended->offset_id, "failed", ended->error);
      worse(RunResult::failed);
      hold(name, ended->fingerprint, kHoldFailed);
    }
    offsets_->release(ended->offset_id);
  }
}

// Removes what is delivered and past its retention, in small steps, for as long as there is something. One relay of a
// database does it at a time.
void Relay::sweep(const std::stop_token& stop) {
  Wakeup never;
  while (!stop.stop_requested()) {
    try {
      const auto swept = readers_->run([](pg::Session& session) {
        return session.query(
            "SELECT CASE WHEN pg_try_advisory_xact_lock(1953064037, -1)"
            " THEN tide.outbox_sweep(NULL, " +
            std::to_string(kSweepRows) + ") END");
      });
      if (swept.integer(0, 0) >= kSweepRows) continue;
    } catch (const Error& e) {
      spdlog::debug("sweep: {}", e.what());  // whoever owns the pipelines tells it aloud
    }
    never.wait_for(kSweepEvery, stop);
  }
}

// A call into a plugin can not be ended from outside: it is told, and the other pipelines go on.
void Relay::tell_hanging() {
  const auto overdue = overdue_calls();
  for (const auto& [name, r] : running_) {
    const auto late =
        std::find_if(overdue.begin(), overdue.end(), [&](const OverdueCall& call) { return call.pipeline == name; });
    const bool told = std::exchange(r->hangs, late != overdue.end());
    if (!r->hangs || told) continue;
    const auto text = late->text +
                      "; this pipeline stands still until it returns, or until the relay is started again "
                      "with a plugin that is mended";
    spdlog::error("pipeline '{}': {}", name, text);
    note(name, r->offset_id, "failed", text);
  }
}

void Relay::stop_all() {
  for (const auto& [name, r] : running_) r->thread.request_stop();
  sweeper_ = {};  // joins
  while (true) {
    const auto left = std::count_if(running_.begin(), running_.end(), [](const auto& r) { return !r.second->done; });
    if (left == 0) break;
    const auto overdue = overdue_calls();
    if (std::cmp_equal(left, overdue.size())) {  // no thread can be ended that hangs there, only the process
      for (const auto& call : overdue)
        spdlog::error("pipeline '{}': {}; the relay ends without it", call.pipeline, call.text);
      spdlog::shutdown();
      std::_Exit(1);
    }
    ended_.wait_for(milliseconds(100), {});
  }
  running_.clear();  // joins
}

void Relay::hold(const std::string& name, const std::string& fingerprint, seconds time) {
  held_[name] = {fingerprint, Clock::now() + time};
}

}  // namespace tide
