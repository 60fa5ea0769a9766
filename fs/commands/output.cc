#include "output.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "stagefs/error_names.h"
#include "stagefs/posix_env.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

// Of the process, as stderr is.
bool complains_in_json = false;

// As others that write into a pipe end; whoever started this may have told it to ignore the signal.
Status Unwritten() {
  if (errno == EPIPE) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  return ErrnoError("write to standard output");
}

// What is said on several lines stays so.
void Say(const std::string& message) {
  std::string shown;
  for (size_t begin = 0; begin <= message.size();) {
    const size_t end = std::min(message.find('\n', begin), message.size());
    shown += (begin == 0 ? "" : "\n") + ShowText(message.substr(begin, end - begin));
    begin = end + 1;
  }
  std::fprintf(stderr, "stagefs: %s\n", shown.c_str());
}

ExitStatus StatusFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNameTooLong:
    case ErrorCode::kTooLarge:
    case ErrorCode::kNotDirectory:
    case ErrorCode::kIsDirectory:
    case ErrorCode::kPermission: return kExitUsage;
    case ErrorCode::kNotFound: return kExitNotFound;
    case ErrorCode::kExists:
    case ErrorCode::kNotEmpty:
    case ErrorCode::kConflict:
    case ErrorCode::kBusy:
    case ErrorCode::kStale: return kExitConflict;
    case ErrorCode::kReadOnly:
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnsupported:
    case ErrorCode::kCrossDevice:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInterrupted: break;
  }
  return kExitTrouble;
}

}  // namespace

Status PrintOut(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
  return Unwritten();
}

Status FlushOut() { return std::fflush(stdout) == 0 ? Status() : Unwritten(); }

JsonMember::JsonMember(const char* key, const std::string& text) : text_(Key(key) + JsonString(text)) {}

std::string JsonLine(JsonMembers members) {
  std::string line = "{";
  for (const JsonMember& member : members) line += (line.size() > 1 ? "," : "") + member.text();
  return line + "}\n";
}

ExitStatus Answer(bool json, JsonMembers members, const std::string& text) {
  return Done(PrintOut(json ? JsonLine(members) : text));
}

void ComplainInJson() { complains_in_json = true; }

ExitStatus Report(const Error& error) { return Report(error, StatusFor(error.code())); }

ExitStatus Report(const Error& error, ExitStatus status) {
  if (complains_in_json) {
    const std::string what = status == kExitNothing ? "nothing_to_commit" : NameOf(error.code());
    const std::string said =
        JsonLine({{"code", what}, {"exit_status", static_cast<int>(status)}, {"message", error.message()}});
    std::fputs(("{\"error\":" + said.substr(0, said.size() - 1) + "}\n").c_str(), stderr);
  } else {
    Say(error.message());
  }
  return status;
}

void Warn(const std::string& message) {
  if (complains_in_json) {
    std::fprintf(stderr, "{\"warning\":{\"message\":%s}}\n", JsonString(message).c_str());
  } else {
    Say(message);
  }
}

void SayRefused(const RefusedEntries& refused, bool counts_entries) {
  (void)refused.ForEach([&](const RefusedEntry& entry) -> Status {
    std::fprintf(stderr, "refused: %s %lld: %s: %s\n", PlaceWord(counts_entries),
                 static_cast<long long>(entry.number), ShowText(entry.path).c_str(), ShowText(entry.reason).c_str());
    return {};
  });
}

ExitStatus Done(const Status& status) { return status ? kExitOk : Report(status.error()); }

}  // namespace stagefs
