#include "wire_object.h"

#include <nlohmann/json.hpp>

namespace stagefs {
namespace {

using Json = nlohmann::json;

// Deeper nesting is refused before the parser recurses into it.
constexpr int kDepthMax = 32;

Error Bad(const std::string& what) { return Error(ErrorCode::kInvalidArgument, what); }

Result<Json> ParseJson(std::string_view text) {
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep) return Bad("JSON nested deeper than " + std::to_string(kDepthMax));
  if (json.is_discarded()) return Bad(text.empty() ? "EOF while parsing a value" : "the body is not JSON");
  return json;
}

}  // namespace

struct WireObject::Node {
  Json json;
};

Result<WireObject> WireObject::Parse(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(Json json, ParseJson(text));
  if (!json.is_object()) return Bad("the body is not a JSON object");
  return WireObject(std::make_shared<const Node>(Node{std::move(json)}));
}

Result<std::string> WireObject::Text(const std::string& key) const {
  STAGEFS_ASSIGN_OR_RETURN(std::optional<std::string> text, OptionalText(key));
  if (!text) return Bad("missing field `" + key + "`");
  return std::move(*text);
}

Result<std::optional<std::string>> WireObject::OptionalText(const std::string& key) const {
  const auto found = node_->json.find(key);
  if (found == node_->json.end() || found->is_null()) return std::optional<std::string>();
  if (!found->is_string()) return Bad("`" + key + "` is not a string");
  return std::optional<std::string>(found->get<std::string>());
}

Result<std::optional<uint64_t>> WireObject::OptionalNumber(const std::string& key) const {
  const auto found = node_->json.find(key);
  if (found == node_->json.end() || found->is_null()) return std::optional<uint64_t>();
  if (!found->is_number_unsigned()) return Bad("`" + key + "` is not a whole number from 0");
  return std::optional<uint64_t>(found->get<uint64_t>());
}

bool WireObject::Flag(const std::string& key) const {
  const auto found = node_->json.find(key);
  return found != node_->json.end() && found->is_boolean() && found->get<bool>();
}

Result<std::optional<WireObject>> WireObject::OptionalObject(const std::string& key) const {
  const auto found = node_->json.find(key);
  if (found == node_->json.end() || found->is_null()) return std::optional<WireObject>();
  if (!found->is_object()) return Bad("`" + key + "` is not an object");
  return std::optional<WireObject>(WireObject(std::make_shared<const Node>(Node{*found})));
}

Result<std::vector<WireObject>> WireObject::Objects(const std::string& key) const {
  std::vector<WireObject> objects;
  const auto found = node_->json.find(key);
  if (found == node_->json.end() || found->is_null()) return objects;
  if (!found->is_array()) return Bad("`" + key + "` is not an array");
  for (const Json& item : *found) {
    if (!item.is_object()) return Bad("`" + key + "` holds something that is not an object");
    objects.push_back(WireObject(std::make_shared<const Node>(Node{item})));
  }
  return objects;
}

Result<std::vector<std::string>> ParseTexts(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  if (!json.is_array()) return Bad("the body is not a JSON array of paths");
  std::vector<std::string> texts;
  for (const Json& item : json) {
    if (!item.is_string()) return Bad("the body is not a JSON array of paths");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

}  // namespace stagefs
