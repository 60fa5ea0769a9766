#include "man_page.h"

#include <algorithm>

#include "frame.h"
#include "stagefs/scratch_names.h"

namespace stagefs {
namespace {

constexpr const char* kFrame =
#include "man_page_roff.inc"
    ;

// A dash would be a hyphen, and a line that begins with a dot or a quote a macro.
std::string Escaped(const std::string& text) {
  std::string escaped;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) escaped += "\\&";
    line_begins = c == '\n';
    if (c == '\\') escaped += "\\e";
    else if (c == '-') escaped += "\\-";
    else escaped += c;
  }
  return escaped;
}

std::string Bold(const std::string& text) { return "\\fB" + Escaped(text) + "\\fR"; }
std::string Italic(const std::string& text) { return "\\fI" + Escaped(text) + "\\fR"; }

std::string UpperCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

// "[MANIFEST]", "PATHS...".
std::string ArgumentForm(const CommandOption& argument) {
  std::string form = Italic(argument.IsTarget() ? argument.help : UpperCase(argument.name));
  if (argument.IsList()) form += "...";
  return argument.required ? form : '[' + form + ']';
}

std::string ValueName(const CommandOption& option) {
  switch (option.completes) {
    case Completes::kBranch: return "BRANCH";
    case Completes::kFile: return "FILE";
    case Completes::kFolder: return "FOLDER";
    default: return std::holds_alternative<std::string*>(option.value) || option.IsList() ? "TEXT" : "N";
  }
}

std::string OptionForm(const CommandOption& option) {
  std::string form;
  for (const std::string& spelling : option.Spellings()) form += (form.empty() ? "" : ", ") + Bold(spelling);
  return option.IsFlag() ? form : form + ' ' + Italic(ValueName(option));
}

std::string Paragraph(const std::string& head, const std::string& text) { return ".TP\n" + head + '\n' + text + '\n'; }

std::string OptionParagraph(const CommandOption& option) {
  std::string text = Escaped(option.help);
  if (const std::string value = option.Default(); !value.empty()) text += " (default: " + Escaped(value) + ')';
  if (!option.IsArgument() && option.required) text += "; must be given";
  return Paragraph(option.IsArgument() ? ArgumentForm(option) : OptionForm(option), text);
}

std::string CommandParagraph(const KnownCommand& known) {
  std::string form = Bold(known.row->name), options;
  for (const CommandOption& option : known.options.all()) {
    if (option.IsArgument()) form += ' ' + ArgumentForm(option);
    if (!option.hidden && !option.IsTarget()) options += OptionParagraph(option);
  }
  std::string text = Paragraph(form, Escaped(known.row->help) + '.');
  text += ".RS\n" + options + ".PP\n.EX\n" + Escaped(known.row->example) + "\n.EE\n.RE\n";
  return text;
}

}  // namespace

std::string ManPage(const std::vector<KnownCommand>& commands) {
  GlobalOptions globals;
  CommandOptions options;
  globals.Declare(options);
  std::string of_all, of_each;
  for (const CommandOption& option : options.all()) of_all += OptionParagraph(option);
  for (const KnownCommand& command : commands) {
    if (command.command != nullptr) of_each += CommandParagraph(command);
  }
  std::string page = Filled(kFrame, "@VERSION@", STAGEFS_VERSION);
  page = Filled(std::move(page), "@OPTIONS@\n", of_all);
  page = Filled(std::move(page), "@COMMANDS@\n", of_each);
  return Filled(std::move(page), "@SCRATCH_NAMES@\n", Escaped(std::string(ScratchNamesHelp())));
}

}  // namespace stagefs
