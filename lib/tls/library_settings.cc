// The parameters tls_*: see library_settings.h.
#include "lib/tls/library_settings.h"

#include "lib/config/config.h"

namespace posthouse::tls {

LibrarySettings::LibrarySettings(const config::Config& config)
    : grades{config.text("tls_high_cipherlist"), config.text("tls_medium_cipherlist"), config.text("tls_null_cipherlist")},
      curves(config.list("tls_eecdh_auto_curves")),
      groups(config.list("tls_ffdhe_auto_groups")),
      options(config.list("tls_ssl_options")),
      server_preference(config.boolean("tls_preempt_cipherlist")),
      ticket_cipher(config.text("tls_session_ticket_cipher"))
{
}

} // namespace posthouse::tls
