// Shows configuration to people without its secrets. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/value.hpp"
#include "sink/options.hpp"

namespace tide {

// The sink configuration as JSON, as it was written (variables not expanded). The values of secret options, and of keys
// that no table knows (a misspelt "passwrd"), become "***", and so does the user info of every URL.
std::string masked(const Value& sink, const OptionTable& plugin);

// "nats://user:pw@host" becomes "nats://***@host", in each URL of a list, and what follows "password=" becomes "***".
// Rather masks too much than too little.
std::string mask_url(std::string_view text);

}  // namespace tide
