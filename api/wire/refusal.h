// Why a request is refused, and values that may be missing because it is.
#pragma once

#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "http_message.h"
#include "stagefs/result.h"

namespace stagefs {

// An Error, which is answered as its code says, or the answer itself where Oxen's clients know another.
class Refusal {
 public:
  Refusal(Error error) : why_(std::move(error)) {}
  explicit Refusal(HttpResponse answer) : why_(std::move(answer)) {}

  // Null where the answer is settled.
  const Error* error() const { return std::get_if<Error>(&why_); }
  // Details of trouble inside go to the log, not to the client: they may name paths of this machine.
  HttpResponse ToResponse() const;

 private:
  std::variant<Error, HttpResponse> why_;
};

// Trouble inside, which is no fault of the client's: an error of the system, or one whose status is 5xx.
bool IsTrouble(const Error& error);

// A T, or the Refusal that is answered instead: the doors' Result<T>. STAGEFS_ASSIGN_OR_RETURN takes both.
template <class T = void>
class [[nodiscard]] OrRefusal : public tl::expected<T, Refusal> {
  using Base = tl::expected<T, Refusal>;

 public:
  using Base::Base;
  OrRefusal(Error error) : Base(tl::unexpect, std::move(error)) {}
  OrRefusal(Refusal refusal) : Base(tl::unexpect, std::move(refusal)) {}
  OrRefusal(Result<T> result) : Base(Taken(std::move(result))) {}

  // An error of one of these codes is refused with refuse() or refuse(error).
  template <class Refuse>
  OrRefusal On(std::initializer_list<ErrorCode> codes, Refuse refuse) && {
    const Error* error = *this ? nullptr : this->error().error();
    for (const ErrorCode code : codes) {
      if (error != nullptr && error->code() == code) return MadeBy(refuse, *error);
    }
    return std::move(*this);
  }

  // Every error is but trouble inside.
  template <class Refuse>
  OrRefusal OnAny(Refuse refuse) && {
    const Error* error = *this ? nullptr : this->error().error();
    if (error != nullptr && !IsTrouble(*error)) return MadeBy(refuse, *error);
    return std::move(*this);
  }

 private:
  static Base Taken(Result<T> result) {
    if (!result) return Base(tl::unexpect, std::move(result.error()));
    if constexpr (std::is_void_v<T>) return Base();
    else return Base(std::move(*result));
  }

  template <class Refuse>
  static Refusal MadeBy(Refuse& refuse, const Error& error) {
    if constexpr (std::is_invocable_v<Refuse&, const Error&>) return refuse(error);
    else return refuse();
  }
};

// Starts a chain of .On(…).
template <class T>
OrRefusal<T> Try(Result<T> result) {
  return OrRefusal<T>(std::move(result));
}

// {"error":{"type","title","detail"}, …}, the shape of most.
Refusal Refuse(unsigned status, std::string_view type, std::string_view title, std::string_view detail);
Refusal BadRequest(std::string_view detail);
Refusal Conflict(std::string_view title, std::string_view detail);
Refusal NotFound(std::string_view title, std::string_view detail);
Refusal NoBranch(std::string_view name);
Refusal NoTag(std::string_view name);
Refusal NoRevision(std::string_view name);
Refusal NoPath(std::string_view path);
// 404 with "status_description".
Refusal NotHere(std::string_view description);
// The text is the status_message, as some of Oxen's routes answer.
Refusal BadStatus(unsigned status, std::string_view message);
Refusal NoSuchRoute();

// What is wrong with the request is a 400 of the one shape, or of the other.
template <class T>
OrRefusal<T> OrBadRequest(Result<T> result) {
  return Try(std::move(result)).OnAny([](const Error& error) { return BadRequest(error.message()); });
}
template <class T>
OrRefusal<T> OrBadStatus(Result<T> result) {
  return Try(std::move(result)).OnAny([](const Error& error) { return BadStatus(400, error.message()); });
}

}  // namespace stagefs
