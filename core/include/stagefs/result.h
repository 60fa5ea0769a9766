// Result<T> holds a value or an Error; Status is Result<void>. Nothing in stagefs throws.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace stagefs {

// What went wrong, for programs. Front ends translate it (fs/mount/errno_map.cc, api/wire/http_status.cc), each in
// one switch without a default, so that the compiler names a code somebody forgot.
enum class ErrorCode {
  kInvalidArgument,  // The request can never work as it stands.
  kNotFound,
  kExists,
  kNotDirectory,
  kIsDirectory,
  kNotEmpty,
  kNameTooLong,
  kTooLarge,    // A documented limit was passed.
  kConflict,    // Both sides changed the same path, or the state moved on.
  kPermission,  // Never allowed here, for example `.Trash-*`.
  kReadOnly,
  kNoSpace,
  kBusy,   // Somebody holds it; try again.
  kStale,  // The thing named no longer is what it was.
  kUnsupported,
  kCrossDevice,  // Cannot be moved or linked there; copying works.
  kCorrupt,      // Stored bytes or rows are not what they must be.
  kIo,
  kInterrupted,  // Whoever asked for it gave up (interruption.h): not done, and nothing is wrong with it.
};

// Whether the same may work later, with nothing changed but the world around it: what waits goes on waiting.
constexpr bool MayPass(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConflict:
    case ErrorCode::kPermission:
    case ErrorCode::kReadOnly:
    case ErrorCode::kNoSpace:
    case ErrorCode::kBusy:
    case ErrorCode::kIo:
    case ErrorCode::kInterrupted: return true;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
    case ErrorCode::kExists:
    case ErrorCode::kNotDirectory:
    case ErrorCode::kIsDirectory:
    case ErrorCode::kNotEmpty:
    case ErrorCode::kNameTooLong:
    case ErrorCode::kTooLarge:
    case ErrorCode::kStale:
    case ErrorCode::kUnsupported:
    case ErrorCode::kCrossDevice:
    case ErrorCode::kCorrupt: return false;
  }
  return true;
}

// A code for programs and a sentence for people. Messages gain context going up:
// "stage images/cat.jpg: version 9f2c…: no such version".
class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  // What the operating system refused: the message may name paths of this machine.
  static Error OfSystem(ErrorCode code, std::string message) {
    Error error(code, std::move(message));
    error.of_system_ = true;
    return error;
  }

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  bool of_system() const { return of_system_; }

  // The same error with `context` and ": " in front of its message.
  Error In(const std::string& context) const {
    Error error = *this;
    error.message_ = context + ": " + message_;
    return error;
  }

 private:
  ErrorCode code_;
  std::string message_;
  bool of_system_ = false;
};

template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}
  Result(tl::expected<T, Error> expected) : tl::expected<T, Error>(std::move(expected)) {}

  // Only whether it went well.
  Result<void> WithoutValue() const {
    if (!this->has_value()) return this->error();
    return {};
  }
};

using Status = Result<void>;

}  // namespace stagefs

#define STAGEFS_CONCAT_INNER(a, b) a##b
#define STAGEFS_CONCAT(a, b) STAGEFS_CONCAT_INNER(a, b)

#define STAGEFS_RETURN_IF_ERROR(expression)                            \
  do {                                                                 \
    if (auto status_ = (expression); !status_) return status_.error(); \
  } while (false)

#define STAGEFS_ASSIGN_OR_RETURN(declaration, expression) \
  STAGEFS_ASSIGN_OR_RETURN_AS(STAGEFS_CONCAT(result_, __LINE__), declaration, expression)

#define STAGEFS_ASSIGN_OR_RETURN_AS(name, declaration, expression) \
  auto name = (expression);                                        \
  if (!name) return name.error();                                  \
  declaration = std::move(*name)
