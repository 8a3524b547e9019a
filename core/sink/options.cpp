#include "sink/options.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.hpp"
#include "base/value.hpp"

namespace tide {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end != std::string_view::npos) text.remove_prefix(end + 1);
  }
  return parts;
}

// lower_case words, separated by dots.
bool is_option_name(std::string_view name) {
  bool word = false;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
      word = true;
    } else if (c == '.' && word) {
      word = false;
    } else {
      return false;
    }
  }
  return word;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> default_fault(const Option& option) {
  const std::string& text = *option.default_value;
  switch (option.type) {
    case TIDE_TYPE_INT:
      if (const auto value = parse_int(text)) return option.fault(*value);
      return "must be an integer";
    case TIDE_TYPE_BOOL:
      return text == "true" || text == "false" ? std::nullopt : std::optional<std::string>("must be true or false");
    case TIDE_TYPE_JSON:
      try {
        parse_json(text);
        return std::nullopt;
      } catch (const Error& error) {
        return error.what();
      }
    default:
      return option.fault(text);
  }
}

// The faults of one row.
void check(const Option& option, std::vector<std::string>& faults) {
  const auto fault = [&](const std::string& text) {
    faults.push_back("option '" + printable(option.name) + "' " + text);
  };
  if (!is_option_name(option.name)) fault("needs a lower_case name");
  if (option.type < TIDE_TYPE_STRING || option.type > TIDE_TYPE_JSON) {
    fault("has the type " + std::to_string(option.type) + ", which this relay does not know");
    return;
  }
  if (option.is_template() && option.type != TIDE_TYPE_STRING) fault("is a template but not a string");
  if (option.verbatim() && !option.is_template()) fault("is verbatim but not a template");
  if (option.required() && option.default_value) fault("is required and has a default");
  if (option.min_value > option.max_value) fault("has a minimum above its maximum");
  if (option.description.empty()) fault("has no description");
  if (option.description.find_first_of("|\n\r") != std::string::npos)
    fault("has a '|' or a line break in its description");
  if (!option.default_value) return;
  if (const auto wrong = default_fault(option)) fault("has a wrong default: it " + *wrong);
}

Option row(std::string name, std::int32_t type, std::uint32_t flags, std::optional<std::string_view> default_value,
           std::string description, std::int64_t min_value = 0, std::int64_t max_value = 0,
           std::vector<std::string> choices = {}) {
  return {std::move(name),        type,      flags,     std::optional<std::string>(default_value),
          std::move(description), min_value, max_value, std::move(choices)};
}

[[noreturn]] void refuse(const std::vector<std::string>& faults) {
  std::string text = "the options table is broken";
  for (const auto& fault : faults) text += (&fault == faults.data() ? ": " : "; ") + fault;
  throw Error(text);
}

std::string default_column(const Option& option) {
  if (option.default_value) return *option.default_value;
  return option.required() ? "—" : "null";
}

void append_row(std::string& out, const Option& option, std::string_view description) {
  out += "| " + option.name + " | " + option.type_name() + " | " + default_column(option) + " | ";
  out += description;
  out += " |\n";
}

}  // namespace

const char* Option::type_name() const {
  switch (type) {
    case TIDE_TYPE_INT:
      return "int";
    case TIDE_TYPE_BOOL:
      return "bool";
    case TIDE_TYPE_JSON:
      return "json";
    default:
      return "string";
  }
}

std::optional<std::string> Option::fault(std::int64_t value) const {
  if ((min_value == 0 && max_value == 0) || (value >= min_value && value <= max_value)) return std::nullopt;
  std::string text = "must be " + std::to_string(min_value) + " to " + std::to_string(max_value);
  if (!secret()) text += ", not " + std::to_string(value);
  return text;
}

std::optional<std::string> Option::fault(std::string_view value) const {
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return std::nullopt;
  std::string text = "must be ";
  for (const auto& choice : choices) text += (&choice == choices.data() ? "'" : " or '") + choice + "'";
  return text;
}

OptionTable::OptionTable(std::vector<Option> options) : options_(std::move(options)) {
  std::vector<std::string> faults;
  for (const auto& option : options_) {
    check(option, faults);
    if (find(option.name) != &option) faults.push_back("option '" + option.name + "' is there twice");
    if (has_group(option.name)) faults.push_back("option '" + option.name + "' is also a group of options");
  }
  if (!faults.empty()) refuse(faults);
}

const Option* OptionTable::find(std::string_view name) const {
  const auto found = std::find_if(begin(), end(), [&](const Option& option) { return option.name == name; });
  return found == end() ? nullptr : &*found;
}

bool OptionTable::has_group(std::string_view name) const {
  return std::any_of(begin(), end(), [&](const Option& option) {
    return option.name.size() > name.size() && option.name.starts_with(name) && option.name[name.size()] == '.';
  });
}

OptionTable copy_options(const tide_option* options, std::uint64_t count, std::uint32_t option_size) {
  // Far above any real table: a count beyond it is a wild number, not a table.
  constexpr std::uint64_t kMaxOptions = 1000;
  constexpr std::size_t kSmallest = offsetof(tide_option, choices) + sizeof(tide_option::choices);  // of ABI 1.0
  if (count == 0) return {};
  if (options == nullptr || count > kMaxOptions || option_size < kSmallest) {
    refuse({"options, option_count (" + std::to_string(count) + ") and option_size (" + std::to_string(option_size) +
            ") do not describe an array of tide_option"});
  }

  std::vector<std::string> faults;
  std::vector<Option> copies;
  const auto* bytes = reinterpret_cast<const char*>(options);
  for (std::uint64_t i = 0; i < count; ++i) {
    tide_option theirs{};
    std::memcpy(&theirs, bytes + i * option_size, std::min<std::size_t>(option_size, sizeof theirs));
    if (theirs.name == nullptr || theirs.description == nullptr) {
      faults.push_back("row " + std::to_string(i + 1) + " has no name or no description");
      continue;
    }
    Option copy = row(theirs.name, theirs.type, theirs.flags, std::nullopt, theirs.description, theirs.min_value,
                      theirs.max_value);
    if (theirs.default_value != nullptr) copy.default_value = theirs.default_value;
    if (theirs.choices != nullptr) copy.choices = split(theirs.choices, '|');
    const std::string& name = copy.name;
    const bool inside_core = std::any_of(core_options().begin(), core_options().end(),
                                         [&](const Option& core) { return name.starts_with(core.name + "."); });
    if (core_options().find(name) != nullptr || core_options().has_group(name) || inside_core) {
      faults.push_back("option '" + printable(name) + "' is the relay's own");
    }
    copies.push_back(std::move(copy));
  }
  if (!faults.empty()) refuse(faults);
  return OptionTable(std::move(copies));
}

const OptionTable& core_options() {
  constexpr auto kText = TIDE_OPTION_TEMPLATE | TIDE_OPTION_VERBATIM;
  static const OptionTable kTable({
      row("sink_type", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED, std::nullopt, "The sink that the pipeline delivers to"),
      row("batch_size", TIDE_TYPE_INT, 0, "100", "Messages per batch", 1, 10000),
      row("start", TIDE_TYPE_STRING, 0, "earliest",
          "Where a new consumer group begins: at the `earliest` retained event, or at the `latest`, which is now", 0, 0,
          {"earliest", "latest"}),
      row("on_reject", TIDE_TYPE_STRING, 0, "dead_letter",
          "What becomes of a message that can never be stored: `dead_letter` sets it aside and goes on, `stop` stops "
          "the pipeline",
          0, 0, {"dead_letter", "stop"}),
      row("message_id", TIDE_TYPE_STRING, kText, "{dedup_key}",
          "The message's identity, by which the sink drops a repeat. A second pipeline into one stream needs ids of "
          "its "
          "own: `{dedup_key}/audit`"),
      row("format", TIDE_TYPE_STRING, 0, "raw",
          "The message's form: the payload as it is (`raw`), `cloudevents` or `debezium`", 0, 0,
          {"raw", "cloudevents", "debezium"}),
      row("cloudevents_mode", TIDE_TYPE_STRING, 0, "binary",
          "Where a CloudEvent's attributes stand: in headers (`binary`) or around the payload (`structured`)", 0, 0,
          {"binary", "structured"}),
      row("cloudevents_type", TIDE_TYPE_STRING, kText, "{stream_table}.{op}", "A CloudEvent's `type`"),
      row("cloudevents_source", TIDE_TYPE_STRING, kText, "/tide/{outbox}", "A CloudEvent's `source`"),
      row("debezium_fields", TIDE_TYPE_STRING, 0, std::nullopt,
          "Columns that go along, as Debezium's `table.fields.additional.placement`: `type:header:eventType`"),
      row("routes", TIDE_TYPE_JSON, 0, std::nullopt,
          "Where events go by their content: a list of rules, the first that matches takes the event"),
      row("retry.initial_ms", TIDE_TYPE_INT, 0, "100", "First wait before a retry, in milliseconds", 1, 3600000),
      row("retry.max_ms", TIDE_TYPE_INT, 0, "30000", "Longest wait between retries, in milliseconds", 1, 3600000),
  });
  return kTable;
}

OptionValue default_value(const Option& option) {
  OptionValue value{option.name, option.type, option.default_value.has_value(), "", 0, {}};
  if (!value.is_set) return value;
  switch (option.type) {
    case TIDE_TYPE_INT:
      value.integer = parse_int(*option.default_value).value_or(0);
      break;
    case TIDE_TYPE_BOOL:
      value.integer = *option.default_value == "true" ? 1 : 0;
      break;
    default:
      value.string = *option.default_value;
  }
  return value;
}

std::string reference_table(const OptionTable& plugin, std::string_view sink_types) {
  std::string must = "Must be ";
  const auto types = split(sink_types, '|');
  for (const auto& type : types) must += (&type == types.data() ? "\"" : " or \"") + type + "\"";

  std::string out = "| Parameter | Type | Default | Description |\n|---|---|---|---|\n";
  const auto& core = core_options();
  append_row(out, *core.begin(), must);
  for (const auto& option : plugin) append_row(out, option, option.description);
  for (auto option = core.begin() + 1; option != core.end(); ++option) append_row(out, *option, option->description);
  return out;
}

}  // namespace tide
