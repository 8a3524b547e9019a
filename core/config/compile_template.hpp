// Compiles a template of the configuration, and words what is wrong with it. Any thread.
#pragma once

#include <optional>
#include <string>

#include "template/template.hpp"

namespace tide {

// quotable: the text is as it was written, so that a message may quote it; else it may hold what came out of a
// variable.
inline std::optional<Template> compile_template(const std::string& text, Template::Use use, const std::string& pipeline,
                                                bool quotable, std::string& fault) {
  try {
    return Template(text, use, pipeline);
  } catch (const TemplateError& error) {
    fault = quotable ? std::string(error.what())
                     : "the template is wrong at column " + std::to_string(error.column()) + " of its expanded text";
    return std::nullopt;
  }
}

}  // namespace tide
