// Lays a workspace's rows over another base.
#pragma once

#include <string>
#include <vector>

#include "tree/overlay.h"
#include "tree/walk.h"

namespace stagefs {

// Moves the rows of `from` onto the base of `to`, path by path. Both are the same workspace in one
// transaction.
class Rebaser {
 public:
  Rebaser(Overlay& from, Overlay& to) : from_(from), to_(to) {}

  // The paths that both sides changed, in order. Changes nothing.
  Result<std::vector<std::string>> Conflicts();
  // Errors: kConflict, listing them; nothing is changed then.
  Status Run();

 private:
  // Whether the bases differ only beside the rows and the folders that hold them: then these mean the same on both.
  Result<bool> AreApart();
  Status Check(const StagedAt& at);
  Result<bool> IsInTheWay(const StagedAt& at);
  Error Conflict() const;
  Result<Slot> SlotAt(const std::string& path);
  Status StepAside(const StagedAt& at);
  Status Clear(const StagedAt& at, std::vector<Slot>* emptied);
  Status Lay(const StagedAt& at);

  Overlay& from_;
  Overlay& to_;
  std::vector<StagedAt> rows_;
  std::vector<Slot> places_;  // Of the folders that hold rows, and of those above them.
  bool apart_ = false;
  std::vector<std::string> conflicts_;
};

// The same workspace as if its base were `base`.
Result<Overlay> OnTopOf(Overlay& overlay, CommitSeq base);

}  // namespace stagefs
