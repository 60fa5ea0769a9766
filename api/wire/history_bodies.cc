#include "history_bodies.h"

#include "body_json.h"
#include "status_bodies.h"

namespace stagefs {

using namespace wire;

std::string BranchBody(std::string_view message, const BranchView& branch) {
  Json body = Base("success", message);
  body["branch"] = ToJson(branch);
  return Dump(body);
}

std::string BranchesBody(const std::vector<BranchView>& branches) {
  Json body = Base("success", kFound);
  body["branches"] = ListOf(branches);
  return Dump(body);
}

std::string TagBody(std::string_view message, const TagView& tag) {
  Json body = Base("success", message);
  body["tag"] = ToJson(tag);
  return Dump(body);
}

std::string TagsBody(const std::vector<TagView>& tags) {
  Json body = Base("success", kFound);
  body["tags"] = ListOf(tags);
  return Dump(body);
}

std::string CommitBody(std::string_view message, const CommitView& commit) {
  Json body = Base("success", message);
  body["commit"] = ToJson(commit);
  return Dump(body);
}

std::string CommitsBody(const std::vector<CommitView>& commits, const PageView& page) {
  Json body = Base("success", kFound);
  body["commits"] = ListOf(commits);
  AddPage(body, page);
  body["has_more"] = page.number < page.pages();
  return Dump(body);
}

std::string MergeBody(const CommitView& base, const CommitView& head, const CommitView& merge) {
  Json body = Base("success", kFound);
  body["commits"] = {{"head", ToJson(head)}, {"base", ToJson(base)}, {"merge", ToJson(merge)}};
  return Dump(body);
}

std::string MergeableBody(const std::vector<std::string>& conflicts, const std::vector<CommitView>& commits) {
  Json body = Base("success", kFound);
  body["is_mergeable"] = conflicts.empty();
  body["conflicts"] = Json::array();
  for (const std::string& path : conflicts) body["conflicts"].push_back(PathJson(path));
  body["commits"] = ListOf(commits);
  return Dump(body);
}

}  // namespace stagefs
