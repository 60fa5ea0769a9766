// .stagefs/control: takes the lines `retry PATH`, `dismiss PATH` and `sync`.
#pragma once

#include "mount/control/control_place.h"

namespace stagefs {

class CommandFile : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;
  // Accepted and without meaning, so that `echo … > control` works.
  Result<Attributes> SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                     FileHandle* handle) override;
  // Each line is a command; the first that fails ends it. kInvalidArgument for an unknown one.
  Status RunLines(std::string_view lines);

 private:
  Status Run(const std::string& line);
};

}  // namespace stagefs
