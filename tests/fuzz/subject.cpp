// From a template and an event to the subject that the NATS plugin publishes on, and to the filter by which it had
// looked for streams before. Lines: the template, two filters, the event.
#include "nats_jetstream/subject.hpp"

#include <tide/sink.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "event_input.hpp"
#include "fuzz.hpp"
#include "template/template.hpp"

using tide::Template;
using tide::fuzz::require;

namespace {

std::vector<std::string_view> tokens_of(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (std::size_t dot = 0; dot != std::string_view::npos;) {
    dot = text.find('.');
    tokens.push_back(text.substr(0, dot));
    if (dot != std::string_view::npos) text.remove_prefix(dot + 1);
  }
  return tokens;
}

bool breaks_a_token(char c) {
  return c == '*' || c == '>' || c == ' ' || tide::fuzz::is_control(c);
}

bool is_token(std::string_view token) {
  return !token.empty() && std::none_of(token.begin(), token.end(), breaks_a_token);
}

bool is_filter(std::string_view text) {
  const auto tokens = tokens_of(text);
  return std::all_of(tokens.begin(), tokens.end(), [&](std::string_view token) {
    return token == "*" || is_token(token) || (token == ">" && token.data() == tokens.back().data());
  });
}

void check_filters(const std::string& a, const std::string& b) {
  using namespace tide::nats;
  const auto seen = a + " and " + b;
  require(covers(a, a) && overlaps(a, a), "a filter takes what it takes", a);
  require(covers(">", a), "'>' takes everything", a);
  require(overlaps(a, b) == overlaps(b, a), "two filters meet, or they don't", seen);
  require(!covers(a, b) || overlaps(a, b), "a filter that takes all of another meets it", seen);
  const auto common = common_filter({a, b});
  require(is_filter(common), "a common filter is a filter", seen);
  require(covers(common, a) && covers(common, b), "a common filter takes what both take", seen + ": " + common);
}

void check_subject(std::string_view template_text, const tide::Event& event, const std::string& a,
                   const std::string& b) {
  std::optional<Template> compiled;
  try {
    compiled.emplace(template_text, Template::Use::subject, "p");
  } catch (const tide::TemplateError&) {
    return;
  }
  // The plugin refuses at connect a template that can never give a subject.
  const auto shape = compiled->shape(event.outbox);
  std::string sample = shape;
  std::replace(sample.begin(), sample.end(), TIDE_UNKNOWN, 'x');
  std::replace(sample.begin(), sample.end(), TIDE_UNKNOWN_TOKENS, 'x');
  const auto tokens = tokens_of(sample);
  const bool publishable = tide::nats::is_publishable(sample);
  require(publishable == std::all_of(tokens.begin(), tokens.end(), is_token), "a subject is made of tokens", sample);
  if (!publishable) return;
  const auto filter = tide::nats::filter_of(shape);
  require(is_filter(filter), "a template's filter is a filter", filter);

  std::string subject;
  auto json = tide::fuzz::json_of(event);
  if (compiled->render(event, json, subject)) return;
  require(std::none_of(subject.begin(), subject.end(), breaks_a_token),
          "no event brings a wildcard, white space or a control character into a subject", subject);
  // Only a default can leave a token empty.
  if (!tide::nats::is_publishable(subject)) {
    require(template_text.find('|') != std::string_view::npos, "what is rendered can be published", subject);
    return;
  }
  // A name that an administrator gave may have dots.
  const bool dotted_name = template_text.find("{stream_table") != std::string_view::npos &&
                           event.stream_table.find('.') != std::string_view::npos;
  if (dotted_name) return;
  require(tide::nats::covers(filter, subject), "a template's filter takes each subject that it gives",
          filter + " and " + subject);
  if (!filter.ends_with('>'))
    require(tokens_of(subject).size() == tokens_of(shape).size(), "no event changes the number of tokens", subject);
  if (is_filter(a) && is_filter(b)) {
    using namespace tide::nats;
    require(!covers(a, subject) || !covers(b, subject) || overlaps(a, b), "filters that take one subject meet",
            subject);
    require(!covers(a, b) || !covers(b, subject) || covers(a, subject), "a wider filter takes what a narrower takes",
            subject);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tide::fuzz::Lines lines(tide::fuzz::text_of(data, size));
  const auto text = lines.next();
  const std::string a(lines.next());
  const std::string b(lines.next());
  if (is_filter(a) && is_filter(b)) check_filters(a, b);
  check_subject(text, tide::fuzz::event_of(lines), a, b);
  return 0;
}
