#include "config/routes.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "config/compile_template.hpp"
#include "config/place.hpp"

namespace tide {
namespace {

using Test = Condition::Test;

constexpr std::string_view kFields = "op, stream_table, dedup_key, header.NAME and payload.FIELD";

// What an operator takes.
enum class Takes { boolean, scalars, text, orderable };
struct Operator {
  std::string_view name;
  Takes takes;
  Test test;
};
constexpr std::array<Operator, 8> kOperators = {{{"exists", Takes::boolean, Test::present},
                                                 {"not", Takes::scalars, Test::none_of},
                                                 {"prefix", Takes::text, Test::prefix},
                                                 {"suffix", Takes::text, Test::suffix},
                                                 {"gt", Takes::orderable, Test::greater},
                                                 {"gte", Takes::orderable, Test::at_least},
                                                 {"lt", Takes::orderable, Test::less},
                                                 {"lte", Takes::orderable, Test::at_most}}};

bool is_text(const EventField& field) {
  using Source = EventField::Source;
  return field.source() != Source::header && field.source() != Source::payload;
}

bool is_known(const EventField& field) {
  using Source = EventField::Source;
  return field.source() != Source::outbox && field.source() != Source::outbox_id;
}

// One rule of the list.
class RouteReader {
 public:
  RouteReader(const Value& value, std::size_t index, const PipelineSpec& spec, const OptionTable& plugin,
              const EnvPolicy& env, Problems& problems)
      : value_(value), spec_(spec), plugin_(plugin), env_(env), problems_(problems) {
    owner_ = spec.where + ", routes[" + std::to_string(index) + "]";
    const Value* name = value.find("name");
    if (name != nullptr && name->get<std::string>() != nullptr) {
      owner_ += " \"" + printable(*name->get<std::string>()) + "\"";
    }
  }

  Route read(const Rendering& base) {
    Route route;
    route.message = base.message;
    const auto* object = value_.get<Object>();
    if (object == nullptr) {
      problem(value_, "", std::string("must be an object, not ") + value_.type_name());
      return route;
    }
    bool sends = false;
    for (const auto& [key, value] : *object) {
      if (key == "name") {
        if (value.get<std::string>() == nullptr) wrong_type(value, key, "a string");
      } else if (key == "when") {
        read_when(value, route.when);
      } else if (key == "drop") {
        if (value.get<bool>() == nullptr) {
          wrong_type(value, key, "a boolean");
        } else {
          route.drop = *value.get<bool>();
        }
      } else if (const Option* option = template_option(key)) {
        read_template(value, *option, base.format, route.message);
        sends = true;
      } else {
        problem(value, key, unknown_key(key, known_keys()));
      }
    }
    if (route.drop && sends) problem(value_, "drop", "is true, so nothing else but `name` and `when` may be there");
    if (!route.drop && !sends && problems_.empty()) {
      problem(value_, "", "says nothing about the event: give it `\"drop\": true`, or one of " + template_names());
    }
    return route;
  }

  void problem(const Value& at, std::string_view key, std::string text) {
    problems_.push_back({place(spec_.file, at.line > 0 ? at.line : value_.line, owner_, key), std::move(text)});
  }

 private:
  void wrong_type(const Value& value, std::string_view key, const std::string& expected) {
    problem(value, key, "must be " + expected + ", not " + value.type_name());
  }

  [[nodiscard]] const Option* template_option(std::string_view key) const {
    const Option* option = core_options().find(key);
    if (option == nullptr) option = plugin_.find(key);
    return option != nullptr && option->is_template() ? option : nullptr;
  }

  [[nodiscard]] std::vector<std::string> known_keys() const {
    std::vector<std::string> keys{"name", "when", "drop"};
    for (const auto* table : {&plugin_, &core_options()}) {
      for (const auto& option : *table) {
        if (option.is_template()) keys.push_back(option.name);
      }
    }
    return keys;
  }

  [[nodiscard]] std::string template_names() const {
    const auto keys = known_keys();
    std::string names;
    for (std::size_t i = 3; i < keys.size(); ++i) names += (i == 3 ? "`" : ", `") + keys[i] + "`";
    return names;
  }

  // The string with its variables replaced; nothing when that failed.
  std::optional<std::string> text(const Value& value, const std::string& key) {
    const auto before = problems_.size();
    auto expanded = expand_env(*value.get<std::string>(), env_, place(spec_.file, value.line, owner_, key), problems_);
    if (problems_.size() != before) return std::nullopt;
    if (!simdjson::validate_utf8(expanded)) {
      problem(value, key, "is not valid UTF-8");
      return std::nullopt;
    }
    return expanded;
  }

  void read_template(const Value& value, const Option& option, const Format& format, MessageTemplates& message) {
    if (option.name.starts_with("cloudevents_") && !format.is_cloudevents()) {
      return problem(value, option.name, "means something only with \"format\": \"cloudevents\"");
    }
    if (value.get<std::string>() == nullptr) return wrong_type(value, option.name, "a string");
    const auto expanded = text(value, option.name);
    if (!expanded) return;
    std::string fault;
    auto compiled = compile_template(option, *expanded, spec_.name, *expanded == *value.get<std::string>(), fault);
    if (!compiled) return problem(value, option.name, fault);
    if (option.name == "message_id") {
      message.message_id = std::move(compiled);
    } else if (option.name == "cloudevents_type") {
      message.cloudevents_type = std::move(compiled);
    } else if (option.name == "cloudevents_source") {
      message.cloudevents_source = std::move(compiled);
    } else {
      for (auto& field : message.fields) {
        if (field.name == option.name) field.text = std::move(compiled);
      }
    }
  }

  void read_when(const Value& when, std::vector<Condition>& out) {
    const auto* object = when.get<Object>();
    if (object == nullptr) return wrong_type(when, "when", "an object");
    for (const auto& [name, value] : *object) {
      const std::string key = "when." + name;
      const auto field = EventField::parse(name);
      if (!field || !is_known(*field)) {
        const bool path = (name == "payload" || name == "header") && value.get<Object>() != nullptr;
        problem(value, key,
                path ? "the path to a value is one key: \"" + name + ".NAME\""
                     : "is no value of an event; known are " + std::string(kFields));
      } else if (const auto* tests = value.get<Object>()) {
        read_operators(value, *tests, key, *field, out);
      } else {
        add(value, key, *field, Takes::scalars, Test::any_of, out);
      }
    }
  }

  void read_operators(const Value& at, const Object& tests, const std::string& key, const EventField& field,
                      std::vector<Condition>& out) {
    if (tests.empty()) problem(at, key, "has no operator");
    for (const auto& [name, operand] : tests) {
      const auto* known =
          std::find_if(kOperators.begin(), kOperators.end(), [&name = name](const auto& o) { return o.name == name; });
      if (known == kOperators.end()) {
        std::vector<std::string> names;
        for (const auto& o : kOperators) names.emplace_back(o.name);
        std::string text = "unknown operator" + did_you_mean(name, names) + "; known are";
        for (const auto& o : names) text += (&o == names.data() ? " " : ", ") + o;
        problem(operand, key + "." + name, text);
      } else {
        add(operand, key + "." + name, field, known->takes, known->test, out);
      }
    }
  }

  void add(const Value& value, const std::string& key, const EventField& field, Takes takes, Test test,
           std::vector<Condition>& out) {
    Condition condition{field, test, {}};
    if (takes == Takes::boolean) {
      if (value.get<bool>() == nullptr) return wrong_type(value, key, "true or false");
      condition.test = *value.get<bool>() ? Test::present : Test::absent;
    } else if (const auto* list = value.get<Array>(); list != nullptr && takes == Takes::scalars) {
      if (list->empty()) problem(value, key, "must not be empty");
      for (const auto& item : *list) operand(item, key, field, takes, condition);
    } else {
      operand(value, key, field, takes, condition);
    }
    out.push_back(std::move(condition));
  }

  void operand(const Value& value, const std::string& key, const EventField& field, Takes takes, Condition& condition) {
    const auto* integer = value.get<std::int64_t>();
    const auto* number = value.get<double>();
    if (value.get<std::string>() != nullptr) {
      if (auto expanded = text(value, key)) condition.operands.emplace_back(std::move(*expanded));
    } else if (takes == Takes::text || is_text(field)) {
      wrong_type(value, key, "a string");
    } else if (integer != nullptr) {
      condition.operands.emplace_back(*integer);
    } else if (number != nullptr) {
      condition.operands.emplace_back(*number);
    } else if (takes == Takes::orderable) {
      wrong_type(value, key, "a number or a string");
    } else if (const auto* boolean = value.get<bool>()) {
      condition.operands.emplace_back(*boolean);
    } else if (value.get<std::nullptr_t>() != nullptr) {
      problem(value, key, "null is said with {\"exists\": false}");
    } else {
      wrong_type(value, key, "a string, a number, a boolean or a list of these");
    }
  }

  const Value& value_;
  const PipelineSpec& spec_;
  const OptionTable& plugin_;
  const EnvPolicy& env_;
  Problems& problems_;
  std::string owner_;
};

}  // namespace

std::vector<Route> read_routes(const Value& routes, const PipelineSpec& spec, const OptionTable& plugin,
                               const EnvPolicy& env, const Rendering& base, Problems& problems) {
  const auto* list = routes.get<Array>();
  if (list == nullptr) {
    problems.push_back({place(spec.file, routes.line, spec.where, "routes"),
                        std::string("must be a list of rules, not ") + routes.type_name()});
    return {};
  }
  std::vector<Route> result;
  for (std::size_t i = 0; i < list->size(); ++i) {
    Problems own;
    RouteReader rule((*list)[i], i, spec, plugin, env, own);
    result.push_back(rule.read(base));
    if (own.empty() && result.back().when.empty() && i + 1 < list->size()) {
      rule.problem((*list)[i], "",
                   "takes every event, so that no later rule is reached: give it a `when`, or put it last");
    }
    problems.insert(problems.end(), own.begin(), own.end());
  }
  return result;
}

void add_alternatives(const Rendering& rendering, std::string_view outbox, std::vector<OptionValue>& values) {
  const bool all_routed = !rendering.routes.empty() && rendering.routes.back().when.empty();
  for (std::size_t i = 0; i < rendering.message.fields.size(); ++i) {
    const auto& own = rendering.message.fields[i];
    std::vector<std::string> texts;
    const auto add = [&](const std::optional<Template>& text) {
      if (!text) return;
      auto shape = text->shape(outbox);
      if (std::find(texts.begin(), texts.end(), shape) == texts.end()) texts.push_back(std::move(shape));
    };
    if (!all_routed) add(own.text);
    for (const auto& route : rendering.routes) {
      if (!route.drop) add(route.message.fields[i].text);
    }
    if (texts.empty()) add(own.text);
    if (texts.empty()) continue;
    const auto value = std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.name == own.name; });
    value->is_set = true;
    value->string = std::move(texts.front());
    value->alternatives.assign(std::make_move_iterator(texts.begin() + 1), std::make_move_iterator(texts.end()));
  }
}

}  // namespace tide
