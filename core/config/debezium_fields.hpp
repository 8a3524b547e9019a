// Reads the option `debezium_fields`, in the notation of Debezium's `table.fields.additional.placement`. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "template/format.hpp"

namespace tide {

// "column:header", "column:envelope:alias", …, separated by commas. What is wrong goes to fault, which is then not
// empty.
std::vector<DebeziumField> parse_debezium_fields(std::string_view text, std::string& fault);

}  // namespace tide
