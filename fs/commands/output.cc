#include "output.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

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

struct CodeWords {
  const char* name;
  ExitStatus status;
};
CodeWords WordsFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return {"invalid_argument", kExitUsage};
    case ErrorCode::kNameTooLong: return {"name_too_long", kExitUsage};
    case ErrorCode::kTooLarge: return {"too_large", kExitUsage};
    case ErrorCode::kNotDirectory: return {"not_a_directory", kExitUsage};
    case ErrorCode::kIsDirectory: return {"is_a_directory", kExitUsage};
    case ErrorCode::kPermission: return {"permission", kExitUsage};
    case ErrorCode::kNotFound: return {"not_found", kExitNotFound};
    case ErrorCode::kExists: return {"exists", kExitConflict};
    case ErrorCode::kNotEmpty: return {"not_empty", kExitConflict};
    case ErrorCode::kConflict: return {"conflict", kExitConflict};
    case ErrorCode::kBusy: return {"busy", kExitConflict};
    case ErrorCode::kStale: return {"stale", kExitConflict};
    case ErrorCode::kReadOnly: return {"read_only", kExitTrouble};
    case ErrorCode::kNoSpace: return {"no_space", kExitTrouble};
    case ErrorCode::kUnsupported: return {"unsupported", kExitTrouble};
    case ErrorCode::kCrossDevice: return {"cross_device", kExitTrouble};
    case ErrorCode::kCorrupt: return {"corrupt", kExitTrouble};
    case ErrorCode::kIo: return {"io", kExitTrouble};
    case ErrorCode::kInterrupted: return {"interrupted", kExitTrouble};
  }
  return {"unknown", kExitTrouble};
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

ExitStatus Report(const Error& error) { return Report(error, WordsFor(error.code()).status); }

ExitStatus Report(const Error& error, ExitStatus status) {
  if (complains_in_json) {
    const std::string what = status == kExitNothing ? "nothing_to_commit" : WordsFor(error.code()).name;
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

ExitStatus Done(const Status& status) { return status ? kExitOk : Report(status.error()); }

}  // namespace stagefs
