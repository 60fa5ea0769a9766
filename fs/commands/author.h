// Who commits when the command line does not say.
#pragma once

#include "stagefs/history.h"

namespace stagefs {

// From the environment: $STAGEFS_AUTHOR_NAME, $STAGEFS_AUTHOR_EMAIL, else $USER.
Author DefaultAuthor();

}  // namespace stagefs
