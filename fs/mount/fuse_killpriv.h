// Spares one request before each write: unless a file system says that it clears set-user-id bits and
// capabilities by itself (FUSE_HANDLE_KILLPRIV_V2, Linux 5.12), the kernel asks for security.capability
// first. We keep neither. libfuse knows the flag from 3.17 on; for older ones it is put into the answer to
// INIT.
#pragma once

struct fuse_conn_info;
struct fuse_session;

namespace stagefs {

// After fuse_session_mount(), before the loop. Where it is not possible everything works as before.
void OfferKillpriv(fuse_session* session);
// In the operation `init`.
void WantKillpriv(fuse_conn_info* connection);

}  // namespace stagefs
