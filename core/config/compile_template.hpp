// Compiles a template of the configuration, and words what is wrong with it. Any thread.
#pragma once

#include <optional>
#include <string>

#include "sink/options.hpp"
#include "template/template.hpp"

namespace tide {

// As the option has it. as_written: no variable was expanded in the text, so that a message may quote it, unless the
// option is secret.
inline std::optional<Template> compile_template(const Option& option, const std::string& text,
                                                const std::string& pipeline, bool as_written, std::string& fault) {
  try {
    return Template(text, option.verbatim() ? Template::Use::text : Template::Use::subject, pipeline);
  } catch (const TemplateError& error) {
    fault = as_written && !option.secret()
                ? std::string(error.what())
                : "the template is wrong at column " + std::to_string(error.column()) + " of its expanded text";
    return std::nullopt;
  }
}

}  // namespace tide
