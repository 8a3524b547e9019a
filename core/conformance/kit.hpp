// The conformance kit: tries a plugin against the rules of docs/abi.md and prints what it found.
#pragma once

#include <string>

#include "conformance/checks.hpp"

namespace tide::conformance {

// Runs every check in a process of its own, prints a line for each and a summary; whether none failed.
bool test_plugin(const Subject& subject);

// One check, in this process, which it ends: the other side of test_plugin().
[[noreturn]] void run_check(const Subject& subject, const std::string& name);

}  // namespace tide::conformance
