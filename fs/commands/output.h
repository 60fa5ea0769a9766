// What commands print, and what they end with.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "stagefs/result.h"
#include "stagefs/stage_report.h"

namespace stagefs {

// As the man page lists them.
enum ExitStatus {
  kExitOk = 0,
  kExitPartly = 1,    // Done, but an entry was refused, or fsck found damage.
  kExitUsage = 2,     // Bad usage or input; nothing was changed.
  kExitNotFound = 3,  // No such repository, workspace, version or path.
  kExitConflict = 4,  // Conflict, busy, or there already.
  kExitTrouble = 5,   // The disk, the kernel or the index.
  kExitNothing = 6,   // There is nothing to commit.
};

// Where nobody reads any more the program ends, quietly, as by SIGPIPE.
Status PrintOut(std::string_view text);
// What was printed is on its way.
Status FlushOut();

// A member of a JSON object: text, a number, or a list of texts in JSON already.
class JsonMember {
 public:
  JsonMember(const char* key, const std::string& text);
  JsonMember(const char* key, std::integral auto number) : text_(Key(key) + std::to_string(number)) {}
  static JsonMember Raw(const char* key, const std::string& json) { return JsonMember(Key(key) + json); }

  const std::string& text() const { return text_; }

 private:
  explicit JsonMember(std::string text) : text_(std::move(text)) {}
  static std::string Key(const char* key) { return std::string("\"") + key + "\":"; }

  std::string text_;
};
using JsonMembers = std::initializer_list<JsonMember>;

// An object on a line of its own.
std::string JsonLine(JsonMembers members);
// The answer of a command that succeeded: an object in JSON, else `text`, which may be empty.
ExitStatus Answer(bool json, JsonMembers members, const std::string& text = "");

// Errors and warnings from now on are objects in JSON, one a line. Said before a command runs.
void ComplainInJson();
// "stagefs: MESSAGE" on stderr; in JSON {"error":{"code":"not_found","exit_status":3,"message":MESSAGE}}.
// Returns the status for it.
ExitStatus Report(const Error& error);
ExitStatus Report(const Error& error, ExitStatus status);
// The same of what does not end the command: {"warning":{"message":MESSAGE}}.
void Warn(const std::string& message);
ExitStatus Done(const Status& status);
// "refused: line 12: PATH: why" on stderr for each entry of a manifest.
void SayRefused(const RefusedEntries& refused, bool counts_entries);

}  // namespace stagefs
