#include "options.h"

#include <sstream>

namespace stagefs {

bool CommandOption::IsTarget() const {
  return completes == Completes::kRepository || completes == Completes::kWorkspace ||
         completes == Completes::kRepositoryOrWorkspace;
}

std::string CommandOption::Default() const {
  if (const auto* number = std::get_if<int64_t*>(&value)) return std::to_string(**number);
  if (const auto* size = std::get_if<uint64_t*>(&value)) return std::to_string(**size);
  if (const auto* text = std::get_if<std::string*>(&value)) return **text;
  return "";
}

std::vector<std::string> CommandOption::Spellings() const {
  std::vector<std::string> spellings;
  std::istringstream pieces(name);
  for (std::string piece; std::getline(pieces, piece, ',');) spellings.push_back(piece);
  return spellings;
}

CommandOption& CommandOptions::Add(std::string name, OptionValue value, std::string help) {
  CommandOption& option = all_.emplace_back();
  option.name = std::move(name);
  option.value = value;
  option.help = std::move(help);
  return option;
}

void CommandOptions::AddRepository(std::string* target) {
  Add("target", target, "NS/REPO").Required().Completing(Completes::kRepository);
}

void CommandOptions::AddWorkspace(std::string* target) {
  Add("target", target, "NS/REPO:WORKSPACE").Required().Completing(Completes::kWorkspace);
}

void CommandOptions::AddRepositoryOrWorkspace(std::string* target, std::string form) {
  Add("target", target, std::move(form)).Required().Completing(Completes::kRepositoryOrWorkspace);
}

void CommandOptions::AddTree(std::string* target, std::string form) {
  AddRepositoryOrWorkspace(target, std::move(form));
}

void CommandOptions::LeaveOutWhatNeedsServer() {
  std::erase_if(all_, [](const CommandOption& option) { return option.needs_server; });
}

}  // namespace stagefs
