#include "config/config_file.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "config/place.hpp"

namespace tide {
namespace {

int line_of(const toml::node& node) {
  return static_cast<int>(node.source().begin.line);
}

// What is read, and what was found wrong with it.
struct Context {
  std::string file;  // the one that is being read
  const EnvPolicy& env;
  Problems problems;
  std::map<std::string, std::string> set_in;                                     // the file of each key and pipeline
  std::map<std::pair<std::string, std::string>, std::string> group_owners = {};  // pipelines by outbox and group
};

// TOML as Value; what JSON has no type for is a problem.
Value convert(const toml::node& node, Context& context, int depth = 0) {
  Value value;
  value.line = line_of(node);
  if (depth > kMaxValueDepth) {
    context.problems.push_back({place(context.file, value.line, "", ""),
                                "is nested more than " + std::to_string(kMaxValueDepth) + " levels deep"});
  } else if (const auto* table = node.as_table()) {
    std::vector<std::pair<const toml::key*, const toml::node*>> fields;
    for (auto&& [key, field] : *table) fields.emplace_back(&key, &field);
    // toml++ sorts by name.
    std::stable_sort(fields.begin(), fields.end(),
                     [](const auto& a, const auto& b) { return a.first->source().begin < b.first->source().begin; });
    Object object;
    for (const auto& [key, field] : fields)
      object.emplace_back(std::string(key->str()), convert(*field, context, depth + 1));
    value.data = std::move(object);
  } else if (const auto* array = node.as_array()) {
    Array items;
    for (auto&& item : *array) items.push_back(convert(item, context, depth + 1));
    value.data = std::move(items);
  } else if (const auto string = node.value_exact<std::string>()) {
    value.data = *string;
  } else if (const auto integer = node.value_exact<std::int64_t>()) {
    value.data = *integer;
  } else if (const auto boolean = node.value_exact<bool>()) {
    value.data = *boolean;
  } else if (const auto number = node.value_exact<double>(); number && std::isfinite(*number)) {
    value.data = *number;
  } else {
    context.problems.push_back({place(context.file, value.line, "", ""),
                                "dates, times, inf and nan have no meaning here; write a string or a number"});
  }
  return value;
}

// One table of the file, read key by key. What nobody asked for by finish() is unknown.
class Table {
 public:
  // owner: whose table it is, in words; prefix: of its keys in messages.
  Table(Context& context, const Value& value, std::string owner, std::string prefix)
      : context_(context), value_(value), owner_(std::move(owner)), prefix_(std::move(prefix)) {
    if (value_.get<Object>() == nullptr) wrong_type("", value_, "a table");
  }

  const Value* find(const std::string& key) {
    known_.push_back(key);
    return value_.find(key);
  }

  void read(const std::string& key, std::string& out) {
    if (const Value* value = find(key))
      take(key, *value, "a string", value->get<std::string>(), [&](const std::string& raw) {
        out = expand_env(raw, context_.env, where(value->line, key), context_.problems);
      });
  }

  void read_required(const std::string& key, std::string& out) {
    const std::size_t before = context_.problems.size();
    read(key, out);
    if (!out.empty() || context_.problems.size() != before || value_.get<Object>() == nullptr) return;
    const Value* value = value_.find(key);
    if (value == nullptr) {
      problem(value_.line, key, "is missing; it must be a string");
    } else if (value->get<std::string>() != nullptr) {
      problem(value->line, key, "must not be empty");
    }
  }

  void read(const std::string& key, std::string& out, const std::vector<std::string>& choices) {
    const std::size_t before = context_.problems.size();
    read(key, out);
    if (context_.problems.size() != before || std::find(choices.begin(), choices.end(), out) != choices.end()) {
      return;
    }
    std::string text = "must be ";
    for (const auto& choice : choices) text += (&choice == choices.data() ? "'" : " or '") + choice + "'";
    problem(value_.find(key)->line, key, text);
  }

  void read(const std::string& key, bool& out) {
    if (const Value* value = find(key))
      take(key, *value, "a boolean", value->get<bool>(), [&](bool boolean) { out = boolean; });
  }

  void read(const std::string& key, int& out, std::int64_t min, std::int64_t max) {
    const Value* value = find(key);
    if (value == nullptr) return;
    take(key, *value, "an integer", value->get<std::int64_t>(), [&](std::int64_t integer) {
      if (integer >= min && integer <= max) {
        out = static_cast<int>(integer);
      } else {
        problem(value->line, key,
                "must be " + std::to_string(min) + " to " + std::to_string(max) + ", not " + std::to_string(integer));
      }
    });
  }

  void read(const std::string& key, std::vector<std::string>& out) {
    const Value* value = find(key);
    if (value == nullptr) return;
    take(key, *value, "an array of strings", value->get<Array>(), [&](const Array& array) {
      out.clear();
      for (const auto& item : array) {
        take(key, item, "an array of strings", item.get<std::string>(), [&](const std::string& raw) {
          out.push_back(expand_env(raw, context_.env, where(item.line, key), context_.problems));
        });
      }
    });
  }

  void finish() {
    const auto* object = value_.get<Object>();
    if (object == nullptr) return;
    for (const auto& [key, value] : *object) {
      set_once(value.line, key);
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        problem(value.line, key, unknown_key(key, known_));
      }
    }
  }

  // Of a section: its keys may be spread over files, each key in one of them.
  void set_once(int line, const std::string& key) {
    if (prefix_.empty()) return;
    const auto [first, added] = context_.set_in.emplace(prefix_ + '.' + key, context_.file);
    if (!added && first->second != context_.file) {
      problem(line, key, "is set in " + first->second + " already; leave one of the two out");
    }
  }

  void problem(int line, const std::string& key, std::string text) {
    context_.problems.push_back({where(line, key), std::move(text)});
  }

  void wrong_type(const std::string& key, const Value& value, const std::string& expected) {
    if (value.get<std::nullptr_t>() != nullptr) return;  // TOML has no null: convert() has told already
    problem(value.line, key, "must be " + expected + ", not " + value.type_name());
  }

 private:
  [[nodiscard]] std::string where(int line, const std::string& key) const {
    std::string name = prefix_;
    if (!name.empty() && !key.empty()) name += '.';
    return place(context_.file, line, owner_, name + key);
  }

  template <typename T, typename Use>
  void take(const std::string& key, const Value& value, const char* expected, const T* typed, Use use) {
    if (typed != nullptr) {
      use(*typed);
    } else {
      wrong_type(key, value, expected);
    }
  }

  Context& context_;
  const Value& value_;
  std::string owner_;
  std::string prefix_;
  std::vector<std::string> known_;
};

void read_section(Context& context, Table& root, const std::string& name, const std::function<void(Table&)>& read) {
  const Value* value = root.find(name);
  if (value == nullptr) return;
  Table section(context, *value, "", name);
  read(section);
  section.finish();
}

PipelineSpec read_pipeline(Context& context, const std::string& name, const Value& value) {
  PipelineSpec spec;
  spec.name = name;
  spec.from_file = true;
  spec.file = context.file;
  spec.where = "pipeline '" + printable(name) + "'";
  Table table(context, value, spec.where, "");
  if (name.empty()) table.problem(value.line, "", "the pipeline needs a name");
  table.read_required("outbox", spec.outbox);
  table.read_required("group", spec.group);
  table.read("enabled", spec.enabled);
  const Value* sink = table.find("sink");
  if (sink == nullptr) {
    if (value.get<Object>() != nullptr) table.problem(value.line, "sink", "is missing; it must be a table");
  } else if (sink->get<Object>() == nullptr) {
    table.wrong_type("sink", *sink, "a table");
  } else {
    spec.sink = *sink;
  }
  table.finish();
  return spec;
}

void read_pipelines(Context& context, const Value& value, std::vector<PipelineSpec>& out) {
  const auto* pipelines = value.get<Object>();
  if (pipelines == nullptr) {
    context.problems.push_back(
        {place(context.file, value.line, "", "pipelines"), "must be a table of pipelines, [pipelines.NAME]"});
    return;
  }
  for (const auto& [name, pipeline] : *pipelines) {
    PipelineSpec spec = read_pipeline(context, name, pipeline);
    if (const auto [first, added] = context.set_in.emplace(spec.where, context.file); !added) {
      context.problems.push_back({place(context.file, pipeline.line, spec.where, ""),
                                  "is set in " + first->second + " already; give one of the two another name"});
      continue;
    }
    if (!spec.outbox.empty() && !spec.group.empty()) {
      const auto [owner, added] = context.group_owners.emplace(std::pair(spec.outbox, spec.group), spec.where);
      if (!added) {
        context.problems.push_back({place(context.file, pipeline.line, spec.where, "group"),
                                    "has the same outbox and group as " + owner->second +
                                        "; the two would share one offset, so give one of them another group"});
      }
    }
    out.push_back(std::move(spec));
  }
}

std::string read_file(const std::string& path) {
  const auto fail = [&]() -> ConfigError {
    return ConfigError({{path, std::string("the configuration file can't be read: ") + std::strerror(errno)}});
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) throw fail();
  std::string text;
  std::array<char, 4096> chunk{};
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), file.get()))
    text.append(chunk.data(), size);
  if (std::ferror(file.get()) != 0) throw fail();
  return text;
}

void read_document(Context& context, std::string_view text, FileConfig& config) {
  Value document;
  try {
    document = convert(toml::parse(text, context.file), context);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    context.problems.push_back({context.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                                "not valid TOML: " + printable(error.description(), 500)});
    return;
  }

  Table root(context, document, "", "");
  read_section(context, root, "postgres", [&](Table& table) {
    table.read("url", config.postgres.url);
    table.read("connections", config.postgres.connections, 1, 64);
    table.read("deadline_ms", config.postgres.deadline_ms, 1000, 600'000);
  });
  read_section(context, root, "relay",
               [&](Table& table) { table.read("buffer_mb", config.relay.buffer_mb, 16, 65536); });
  read_section(context, root, "catalog", [&](Table& table) {
    table.read("enabled", config.catalog.enabled);
    table.read("env_allow", config.catalog.env_allow);
    table.read("data_dir", config.catalog.data_dir);
  });
  read_section(context, root, "plugins", [&](Table& table) { table.read("path", config.plugins.path); });
  read_section(context, root, "log", [&](Table& table) {
    table.read("level", config.log.level, {"debug", "info", "warn", "error"});
    table.read("format", config.log.format, {"text", "json"});
  });
  if (const Value* pipelines = root.find("pipelines")) read_pipelines(context, *pipelines, config.pipelines);
  root.finish();
}

}  // namespace

FileConfig parse_config(std::string_view text, const std::string& file, const EnvPolicy& env) {
  Context context{file, env, {}, {}};
  FileConfig config;
  read_document(context, text, config);
  if (!context.problems.empty()) throw ConfigError(std::move(context.problems));
  return config;
}

FileConfig load_config(const std::string& path, const EnvPolicy& env) {
  return parse_config(read_file(path), path, env);
}

FileConfig load_config(const std::vector<std::string>& paths, const EnvPolicy& env) {
  Context context{{}, env, {}, {}};
  FileConfig config;
  for (const auto& path : paths) {
    context.file = path;
    try {
      read_document(context, read_file(path), config);
    } catch (const ConfigError& error) {
      context.problems.insert(context.problems.end(), error.problems().begin(), error.problems().end());
    }
  }
  if (!context.problems.empty()) throw ConfigError(std::move(context.problems));
  return config;
}

}  // namespace tide
