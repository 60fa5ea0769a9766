// JSON bodies that clients send.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stagefs/result.h"

namespace stagefs {

// A JSON object; keys nobody asks for are ignored. A key whose value is null is not there.
// Errors of all: kInvalidArgument with a sentence for the client.
class WireObject {
 public:
  static Result<WireObject> Parse(std::string_view text);

  Result<std::string> Text(const std::string& key) const;
  Result<std::optional<std::string>> OptionalText(const std::string& key) const;
  Result<std::optional<uint64_t>> OptionalNumber(const std::string& key) const;
  // Whether the key is there and true.
  bool Flag(const std::string& key) const;
  Result<std::optional<WireObject>> OptionalObject(const std::string& key) const;
  // Absent is empty.
  Result<std::vector<WireObject>> Objects(const std::string& key) const;

 private:
  struct Node;
  explicit WireObject(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

// A JSON array of strings.
Result<std::vector<std::string>> ParseTexts(std::string_view text);

}  // namespace stagefs
