// A sink's routes and an event. First line: the sink's configuration, JSON; then the event.
#include "config/routes.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "config_rules.hpp"
#include "event_input.hpp"
#include "fuzz.hpp"
#include "nats_jetstream/subject.hpp"
#include "template/renderer.hpp"

using tide::Condition;
using tide::Event;
using tide::Route;
using tide::SinkConfig;
using tide::fuzz::require;
using Test = Condition::Test;

namespace {

void check_problems(const tide::ConfigError& error, const std::string& owner, const tide::Value* routes) {
  const auto* list = routes == nullptr ? nullptr : routes->get<tide::Array>();
  const auto rule = owner + ", routes[";
  for (const auto& [where, text] : error.problems()) {
    if (!where.starts_with(rule)) continue;
    const auto number = std::stoul(where.substr(rule.size()));
    require(list != nullptr && number < list->size(), "a problem names a rule that is there", where + ": " + text);
  }
}

// What must hold between the tests of one value, whatever it is.
void check_tests(const Condition& condition, const Event& event) {
  auto json = tide::fuzz::json_of(event);
  const auto holds = [&](Test test) {
    Condition other = condition;
    other.test = test;
    return other.holds(event, json);
  };
  const bool there = holds(Test::present);
  require(there != holds(Test::absent), "a value is there or not", {});
  const bool equal = holds(Test::any_of);
  require(equal != holds(Test::none_of), "a value is one of a list or not", {});
  require(there || !equal, "what is not there equals nothing", {});
  if (condition.operands.size() != 1) return;
  const bool less = holds(Test::less);
  const bool greater = holds(Test::greater);
  require(less + greater + equal <= 1, "a value is less, equal or greater", {});
  require(holds(Test::at_most) == (less || equal) || condition.operands[0].index() == 0, "at most is less or equal",
          {});
  require(holds(Test::at_least) == (greater || equal) || condition.operands[0].index() == 0,
          "at least is greater or equal", {});
  if (!std::holds_alternative<std::string>(condition.operands[0])) return;
  require(!equal || (holds(Test::prefix) && holds(Test::suffix)), "a text begins and ends with itself", {});
  require(!holds(Test::prefix) || equal || greater, "a text is not less than its beginning", {});
}

const Route* first_match(const SinkConfig& config, const Event& event) {
  auto json = tide::fuzz::json_of(event);
  for (const auto& route : config.rendering.routes) {
    bool all = true;
    for (const auto& condition : route.when) all = condition.holds(event, json) && all;
    if (all) return &route;
  }
  return nullptr;
}

// The plugin knew of each subject before any event came.
void check_filters(const SinkConfig& config, const Event& event, const std::string& subject) {
  if (!tide::nats::is_publishable(subject) || event.stream_table.find('.') != std::string_view::npos) return;
  const auto& value = *std::find_if(config.values.begin(), config.values.end(),
                                    [](const auto& option) { return option.name == "subject"; });
  bool known = tide::nats::covers(tide::nats::filter_of(value.string), subject);
  for (const auto& other : value.alternatives)
    known = known || tide::nats::covers(tide::nats::filter_of(other), subject);
  require(known, "the sink was told of each subject that a route gives", subject);
}

// A format's body is JSON with the event's payload in it.
void check_body(const std::string& body, std::string_view member, const Event& event) {
  tide::Value payload;
  try {
    payload = tide::parse_json(event.payload);
    if (!event.headers.empty()) static_cast<void>(tide::parse_json(event.headers));
  } catch (const tide::ConfigError&) {
    return;  // no jsonb, or one that a Value can't hold
  }
  try {
    const auto value = tide::parse_json(body);
    const auto* data = value.find(member);
    require(data != nullptr && tide::fuzz::same(*data, payload), "a body holds the payload as it is", body);
  } catch (const tide::ConfigError& error) {
    const std::string_view what = error.what();
    const bool too_much = what.find("nested more") != std::string_view::npos ||
                          what.find("integer is outside") != std::string_view::npos ||
                          what.find("too large") != std::string_view::npos;
    require(too_much, "a body is JSON, and says nothing twice", body);
  }
}

void check_event(const SinkConfig& config, const Event& event) {
  for (const auto& route : config.rendering.routes) {
    for (const auto& condition : route.when) check_tests(condition, event);
  }

  tide::RenderedMessage out;
  const auto why = tide::Renderer(config.rendering).render(event, out);
  if (why) tide::fuzz::check_text(*why);
  const Route* route = first_match(config, event);
  require(!(route != nullptr && route->drop) || (!why && out.dropped), "what its route drops is dropped", {});
  if (why) return;
  require(out.dropped == (route != nullptr && route->drop), "only a route drops", {});
  if (out.dropped) return;

  auto json = tide::fuzz::json_of(event);
  const auto& message = route == nullptr ? config.rendering.message : route->message;
  require(out.fields.size() == message.fields.size(), "each template option has its text", {});
  for (std::size_t i = 0; i < out.fields.size(); ++i) {
    std::string wanted;
    if (message.fields[i].text) {
      require(!message.fields[i].text->render(event, json, wanted), "the first match renders", message.fields[i].name);
    }
    require(out.fields[i] == wanted, "the first match takes the event", out.fields[i]);
    if (message.fields[i].name == "subject") check_filters(config, event, wanted);
  }
  require(std::none_of(out.key.begin(), out.key.end(), tide::fuzz::is_control) && out.key.size() <= 1024,
          "a message's id can be sent", out.key);
  for (const auto& [name, text] : out.headers)
    require(simdjson::validate_utf8(name) && simdjson::validate_utf8(text), "a header is UTF-8", name + ": " + text);
  if (!out.payload.empty()) {
    const bool debezium = config.rendering.format.kind == tide::Format::Kind::debezium;
    check_body(out.payload, debezium ? "payload" : "data", event);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = tide::fuzz::text_of(data, size);
  if (!simdjson::validate_utf8(input)) return 0;  // PostgreSQL gives no other text
  tide::fuzz::Lines lines(input);
  const auto text = lines.next();
  const auto event = tide::fuzz::event_of(lines);
  tide::PipelineSpec spec;
  try {
    spec = tide::fuzz::pipeline_of(tide::parse_json(text));
  } catch (const tide::ConfigError&) {
    return 0;
  }
  spec.outbox = event.outbox;
  try {
    check_event(tide::validate(spec, tide::fuzz::sink_options(), tide::fuzz::environment()), event);
  } catch (const tide::ConfigError& error) {
    tide::fuzz::check(error, text);
    tide::fuzz::check_names_key(error, spec.where);
    check_problems(error, spec.where, spec.sink.find("routes"));
  }
  return 0;
}
