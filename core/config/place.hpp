// Where in the configuration a problem is, in words. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tide {

// "relay.toml:12: pipeline 'orders', key 'subject'"; empty parts (and line 0) are left out.
// owner is already in words, such as "pipeline 'orders'".
std::string place(const std::string& file, int line, const std::string& owner, std::string_view key);

// "unknown key", and what was meant, where that can be told. A key without a name is nothing that place() could show.
std::string unknown_key(std::string_view key, const std::vector<std::string>& known);

// "; did you mean 'subject'?", or nothing when no known word is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace tide
