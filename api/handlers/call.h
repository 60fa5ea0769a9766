// A request on its way to its handler.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repositories.h"
#include "stagefs/uri.h"
#include "stagefs/workspace.h"
#include "wire/refusal.h"

namespace stagefs {

// Paths as a request names them.
class NamedPaths {
 public:
  explicit NamedPaths(const std::vector<std::string>& names);

  // Those that are paths.
  const std::vector<RepoPath>& parsed() const { return parsed_; }
  // The names of those that are none, and of those whose outcome is an error other than `fine`. `outcomes`: one for
  // each of parsed().
  std::vector<std::string> Failed(const std::vector<Status>& outcomes, std::optional<ErrorCode> fine = {}) const;

 private:
  std::vector<std::string> no_paths_, names_;
  std::vector<RepoPath> parsed_;
};

struct Call {
  const HttpRequest& request;
  const RequestTarget& target;
  Root& root;
  uint64_t body_bytes_max = 0;
  std::vector<std::string> names;          // What stands for each {name} of the route.
  std::string rest;                        // What stands for {…*}, joined by '/'.
  std::shared_ptr<Repository> repository;  // Below /api/repos/{namespace}/{repo_name}/.
  std::unique_ptr<Workspace> workspace;    // Below /workspaces/{workspace_id}/.

  // `rest` as a path; as that of a folder it may be the root.
  OrRefusal<RepoPath> Path() const;
  OrRefusal<RepoPath> Directory() const;
  // The body. kTooLarge beyond kJsonBytesMax.
  Result<std::string> Text() const;
  // The body is an array of paths.
  OrRefusal<NamedPaths> Paths() const;
  // Whether the query asks for a smaller picture, which is not served.
  bool AsksForThumbnail() const;
};

using Reply = OrRefusal<HttpResponse>;
using Handler = Reply (*)(Call&);

}  // namespace stagefs
