#include "config/mask.hpp"

#include <algorithm>

namespace tide {
namespace {

constexpr std::string_view kMask = "***";

void mask_urls(Value& value) {
  if (auto* string = std::get_if<std::string>(&value.data)) {
    *string = mask_url(*string);
  } else if (auto* array = std::get_if<Array>(&value.data)) {
    for (auto& item : *array) mask_urls(item);
  } else if (auto* object = std::get_if<Object>(&value.data)) {
    for (auto& field : *object) mask_urls(field.second);
  }
}

void mask_object(Object& object, const std::string& prefix, const OptionTable& plugin) {
  for (auto& [key, value] : object) {
    const std::string name = prefix + key;
    const Option* option = core_options().find(name);
    if (option == nullptr) option = plugin.find(name);
    auto* group = std::get_if<Object>(&value.data);
    if (option != nullptr && !option->secret()) {
      mask_urls(value);
    } else if (option == nullptr && group != nullptr) {
      mask_object(*group, name + ".", plugin);
    } else if (value.get<std::nullptr_t>() == nullptr) {
      value.data = std::string(kMask);
    }
  }
}

}  // namespace

std::string masked(const Value& sink, const OptionTable& plugin) {
  Value copy = sink;
  auto* object = std::get_if<Object>(&copy.data);
  if (object == nullptr) return to_json(Value{std::string(kMask)});
  mask_object(*object, "", plugin);
  return to_json(copy);
}

std::string mask_url(std::string_view text) {
  std::string out;
  // A password may hold '/', ',' or '@', so the user info of one URL is taken to reach up to the last '@' before the
  // next URL. Text without a scheme has user info only when it looks like user:password@host.
  for (bool scheme = false; !text.empty(); scheme = true) {
    const std::size_t next = text.find("://");
    std::string_view piece = text.substr(0, next);
    text.remove_prefix(next == std::string_view::npos ? text.size() : next + 3);
    const std::size_t at = piece.rfind('@');
    if (at != std::string_view::npos && (scheme || piece.substr(0, at).find(':') != std::string_view::npos)) {
      out += kMask;
      piece.remove_prefix(at);
    }
    out += piece;
    if (next != std::string_view::npos) out += "://";
  }

  std::string lower = out;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::size_t word = lower.find("password");
  const std::size_t equals = word == std::string::npos ? word : lower.find_first_not_of(' ', word + 8);
  if (equals != std::string::npos && lower[equals] == '=') {
    out.resize(equals + 1);
    out += kMask;
  }
  return out;
}

}  // namespace tide
