// The parameters that lookup tables use.
#include "lib/config/config.h"
#include "lib/table/table.h"

namespace posthouse::table {

Context::Context(Loop& its_loop, ThreadPool& its_pool, const config::Config& config)
    : loop(&its_loop), pool(&its_pool), default_type(config.text("default_database_type")),
      recipient_delimiter(config.text("recipient_delimiter")), myorigin(config.text("myorigin")),
      warn_missing(!config.boolean("daemon_table_open_error_is_fatal"))
{
}

} // namespace posthouse::table
