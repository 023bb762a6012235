// Parameters: who this host is, where things lie, how processes run and log.
#include "lib/config/params.h"

#include <config.h> // the build's, for PACKAGE_VERSION

namespace posthouse::config {

std::span<const Parameter> general_parameters()
{
    using enum Kind;
    using namespace use;
    static constexpr Parameter rows[] = {
        // ---- identity
        {"compatibility_level", Level, "0", "", "", All, "Generation of defaults that this configuration was written for, such as 3.6."},
        {"myhostname", TextOrFile, "(the host's name)", "", "", All, "Full name of this host, which many other parameters build on."},
        {"mydomain", TextOrFile, "(myhostname without its first label)", "", "", All, "Domain of this host."},
        {"myorigin", TextOrFile, "$myhostname", "", "", All, "Domain that completes an address that has none; a value with a leading slash names a file whose first line holds the domain."},
        {"mydestination", List, "$myhostname, localhost.$mydomain, localhost", "", "", All, "Domains whose mail is delivered to the accounts and aliases of this host."},
        {"mynetworks", List, "(the host's own addresses, by mynetworks_style)", "", "", All, "Clients that may send mail anywhere, as addresses and CIDR blocks."},
        {"mynetworks_style", Choice, "${{$compatibility_level} <level {2} ? {subnet} : {host}}", "host|subnet|class", "", All, "How mynetworks is made from the host's addresses when it is not set."},
        {"inet_interfaces", List, "all", "", "", All, "Addresses on which services without an address of their own listen: all, loopback-only, or a list."},
        {"inet_protocols", List, "all", "", "", All, "Address families in use: all, ipv4, ipv6, or both names."},
        {"proxy_interfaces", List, "", "", "", All, "Addresses at which this host receives mail by way of a proxy or address translation."},
        {"mail_name", Text, "Posthouse", "", "", All, "Name of the software in greetings, Received: fields and notices."},
        {"mail_version", Text, PACKAGE_VERSION, "", "", All, "Version of the software."},
        {"mail_release_date", Text, "20261122", "", "", All, "Release date of the software."},
        {"mail_owner", Text, "posthouse", "", "", All, "Account that owns the queue and as which most processes run when the instance was started by root."},
        {"setgid_group", Text, "postdrop", "", "", All, "Group of the commands that submit mail and talk to the queue on behalf of users, and of qmgr: by it, agents know who may give them work."},
        {"default_privs", Text, "nobody", "", "", Local, "Account for deliveries to files and commands that belong to nobody in particular."},

        // ---- directories and programs
        {"config_directory", Text, "(the directory that was read)", "", "", All, "Directory of main.cf and master.cf."},
        {"alternate_config_directories", List, "", "", "", Commands, "Other configuration directories that set-gid commands may be pointed at."},
        {"queue_directory", Text, POSTHOUSE_QUEUE_DIR, "", "", All, "Directory of the queue and of the sockets between programs; root directory of chrooted ones."},
        {"data_directory", Text, POSTHOUSE_DATA_DIR, "", "", All, "Directory for caches and counters that may be lost without losing mail."},
        {"daemon_directory", Text, POSTHOUSE_DAEMON_DIR, "", "", Master, "Directory of the programs that master starts."},
        {"command_directory", Text, POSTHOUSE_COMMAND_DIR, "", "", Commands, "Directory of the administrator's commands."},
        {"sendmail_path", Text, POSTHOUSE_COMMAND_DIR "/sendmail", "", "", Commands, "Where the sendmail command is."},
        {"newaliases_path", Text, POSTHOUSE_BIN_DIR "/newaliases", "", "", Commands, "Where the newaliases command is."},
        {"mailq_path", Text, POSTHOUSE_BIN_DIR "/mailq", "", "", Commands, "Where the mailq command is."},
        {"readme_directory", Text, "no", "", "", Unused, "Where a packager puts plain text documents."},
        {"html_directory", Text, "no", "", "", Unused, "Where a packager puts HTML documents."},
        {"manpage_directory", Text, POSTHOUSE_MAN_DIR, "", "", Unused, "Where the manual pages are."},
        {"sample_directory", Text, POSTHOUSE_CONFIG_DIR, "", "", Unused, "Where a packager puts example files."},
        {"shlib_directory", Text, "no", "", "", Unused, "Where a packager puts shared libraries."},
        {"meta_directory", Text, POSTHOUSE_CONFIG_DIR, "", "", Unused, "Where a packager keeps lists of installed files."},
        {"openssl_path", Text, "openssl", "", "", Later, "Where the openssl command is."},

        // ---- environment
        {"import_environment", List, "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME", "", "", Master | Commands, "Environment variables that programs keep from whoever starts them; NAME=value sets one."},
        {"export_environment", List, "TZ MAIL_CONFIG LANG", "", "", Later, "Environment variables that commands outside of this suite are given."},

        // ---- log
        {"syslog_name", Text, "${multi_instance_name?{$multi_instance_name}:{posthouse}}", "", "", All, "First part of the program name in the log."},
        {"syslog_facility", Choice, "mail", "auth|authpriv|cron|daemon|ftp|kern|local0|local1|local2|local3|local4|local5|local6|local7|lpr|mail|news|syslog|user|uucp", "", All, "Facility under which lines go to syslog."},
        {"maillog_file", Text, "", "", "", All, "File that takes the log instead of syslog; /dev/stdout in a container."},
        {"maillog_file_prefixes", List, "/var, /dev/stdout", "", "", Unused, "Paths that maillog_file was once limited to."},
        {"maillog_file_permissions", Choice, "0600", "0600|0644|0640", "", All, "Mode of a log file that is made anew."},
        {"maillog_file_compressor", Text, "gzip", "", "", Later, "Command that compresses a rotated log file."},
        {"maillog_file_rotate_suffix", Text, "%Y%m%d-%H%M%S", "", "", Later, "Date format of a rotated log file's ending."},
        {"postlog_service_name", Text, "postlog", "", "", Unused, "Name of the logging service, which is part of every program here."},
        {"postlogd_watchdog_timeout", Time, "10s", "1s", "", Unused, "How long the logging service may hang."},
        {"info_log_address_format", Choice, "external", "external|internal", "", Later, "Whether the log shows addresses with quotes (external, as now) or without."},
        {"debug_peer_list", List, "", "", "", Later, "Peers whose sessions are logged in detail."},
        {"debug_peer_level", Number, "2", "1", "", Later, "How much more is logged for debug_peer_list."},
        {"debugger_command", Text, "", "", "", Unused, "Command that attaches a debugger to a daemon started with -D."},

        // ---- processes
        {"default_process_limit", Number, "100", "1", "", Master, "Most processes of a service whose master.cf entry says \"-\"."},
        {"max_idle", Time, "100s", "1s", "", Master | Smtpd | Smtp | Local, "How long a process without work stays."},
        {"max_use", Number, "100", "1", "", Smtpd | Smtp | Local, "After how many thousands of clients a process makes way for a new one; one process serves many at a time here."},
        {"ipc_timeout", Time, "3600s", "1s", "", Unused, "How long the programs of the original wait for each other; here each wait has a fixed limit, seconds as a rule."},
        {"ipc_idle", Time, "5s", "1s", "", Unused, "How long an unused internal connection is kept."},
        {"ipc_ttl", Time, "1000s", "1s", "", Unused, "How long an internal connection is kept at most."},
        {"daemon_timeout", Time, "18000s", "1s", "", Unused, "How long a program of the original may go without sign of life; every wait has its own limit here."},
        {"fork_attempts", Number, "5", "1", "", Unused, "How often a failed fork is tried again in place."},
        {"fork_delay", Time, "1s", "1s", "", Unused, "Pause between tries of a failed fork."},
        {"service_throttle_time", Time, "60s", "1s", "", Master, "How long master leaves a service alone whose processes fail at start."},
        {"trigger_timeout", Time, "10s", "1s", "", Unused, "How long the original waits for a service to take a wake-up call."},
        {"stop_deadline", Time, "50s", "1s", "1h", Master | Smtpd | Pickup | Qmgr | Smtp | Local, "How long, when the mail system stops, deliveries may take to end that would else be repeated: those that wait for the answer to a message they have sent, and those into mailboxes. Sessions of clients have as long, but no longer than 10 seconds."},
        {"stale_lock_time", Time, "500s", "1s", "", Local, "Age at which a dot-lock on a mailbox counts as left behind."},
        {"helpful_warnings", Boolean, "yes", "", "", Unused, "Whether likely mistakes are warned of; here they always are."},
        {"process_name", Text, "(the program)", "", "", Later, "Name of the running program, for use in -o values."},
        {"process_id", Text, "(the process)", "", "", Later, "Number of the running process, for use in -o values."},
        {"service_name", Text, "(the service)", "", "", Later, "Name of the running master.cf entry, for use in -o values."},
        {"stress", Text, "", "", "", Smtpd, "Not empty while all processes of a service are busy; defaults depend on it."},
        {"master_service_disable", List, "", "", "", Later, "Entries of master.cf that are left out, as name/type, name, or a type with a dot before it."},

        // ---- several instances
        {"multi_instance_name", Text, "", "", "", All, "Name of this instance among several."},
        {"multi_instance_directories", List, "", "", "", Later, "Configuration directories of further instances."},
        {"multi_instance_enable", Boolean, "no", "", "", Later, "Whether this instance is started together with the others."},
        {"multi_instance_group", Text, "", "", "", Later, "Group that this instance belongs to."},
        {"multi_instance_wrapper", Text, "", "", "", Later, "Command that manages several instances."},

        // ---- limits and text
        {"line_length_limit", Number, "2048", "512", "", Smtpd | Pickup, "Longest input line that is kept in one piece."},
        {"header_size_limit", Size, "102400", "1", "", Intake | Smtp, "Longest header field, in bytes; the rest of it is cut."},
        {"header_address_token_limit", Number, "10240", "1", "", Unused, "Most address tokens that the original reads from one header field; header_size_limit holds here."},
        {"mime_nesting_limit", Number, "100", "1", "", Smtpd | Pickup | Smtp, "Deepest nesting of MIME parts that is looked into."},
        {"mime_boundary_length_limit", Number, "2048", "1", "", Smtpd | Pickup | Smtp, "Longest MIME boundary that is told apart from others."},
        {"message_size_limit", Size, "10240000", "0", "", All, "Largest message with its envelope, in bytes; 0 for no limit."},
        {"hopcount_limit", Number, "50", "1", "", Intake, "Most Received: fields before a message counts as running in a circle."},
        {"hash_queue_depth", Number, "1", "1", "16", Unused, "Levels of directories in the original's queue."},
        {"hash_queue_names", List, "deferred, defer", "", "", Unused, "Queue directories that have levels in the original."},
        {"enable_long_queue_ids", Boolean, "yes", "", "", Unused, "Queue ids are always long here: they are never used twice."},
        {"delay_logging_resolution_limit", Number, "2", "0", "6", Later, "Digits behind the point in logged delays; 2 as yet."},

        // ---- tables
        {"default_database_type", Text, "lmdb", "", "", All, "Type of table that postmap and postalias make when none is named."},
        {"default_cache_db_type", Text, "lmdb", "", "", Smtpd, "Type of table in the defaults of caches; there is one kind of cache, whatever it says."},
        {"lmdb_map_size", Size, "16777216", "8192", "", Commands, "Size at which an LMDB table begins; it grows by itself."},
        {"berkeley_db_create_buffer_size", Size, "16777216", "", "", Unused, "Memory for making a Berkeley DB table; there are none here."},
        {"berkeley_db_read_buffer_size", Size, "131072", "", "", Unused, "Memory for reading a Berkeley DB table; there are none here."},
        {"non_bdb_migration_level", Choice, "disable", "disable|enable-redirect|enable-reindex", "", Unused, "How the original leaves Berkeley DB; hash and btree are LMDB here."},
        {"non_bdb_custom_mapping", Tables, "", "", "", Unused, "Which types replace those of Berkeley DB."},
        {"non_bdb_migration_allow_root_prefixes", List, "/etc /usr/local/etc", "", "", Unused, "Where the original remakes tables as root."},
        {"non_bdb_migration_allow_user_prefixes", List, "", "", "", Unused, "Where the original remakes tables as their owner."},
        {"proxy_read_maps", List, "", "", "", Unused, "Tables that the original's proxymap may read; proxy: is a name without effect here."},
        {"proxy_write_maps", List, "", "", "", Unused, "Tables that the original's proxymap may write."},
        {"proxymap_service_name", Text, "proxymap", "", "", Unused, "Name of a service that is not needed here."},
        {"proxywrite_service_name", Text, "proxywrite", "", "", Unused, "Name of a service that is not needed here."},
        {"daemon_table_open_error_is_fatal", Boolean, "no", "", "", All, "Whether a table that cannot be opened ends the program instead of making its lookups fail for the time being."},
        {"tcp_windowsize", Size, "0", "0", "1G", Master | Smtp, "Size of TCP socket buffers; 0 leaves it to the system."},
        {"parent_domain_matches_subdomains", List, "debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, qmqpd_authorized_clients, relay_domains, smtpd_access_maps", "", "", All, "Parameters in which a domain stands for its subdomains too, without a leading dot."},

        // ---- commands and users
        {"authorized_submit_users", List, "static:anyone", "", "", Commands, "Who may submit mail with sendmail."},
        {"authorized_flush_users", List, "static:anyone", "", "", Qmgr, "Who may ask for a queue run, besides root and mail_owner."},
        {"authorized_mailq_users", List, "static:anyone", "", "", Qmgr, "Who may look at the queue, besides root and mail_owner."},
        {"authorized_verp_clients", List, "$mynetworks", "", "", Unused, "Old name of smtpd_authorized_verp_clients."},
        {"local_login_sender_maps", Tables, "static:*", "", "", Later, "Sender addresses that each local user may use with sendmail."},
        {"empty_address_local_login_sender_maps_lookup_key", Text, "<>", "", "", Later, "Key for the null sender in local_login_sender_maps."},
        {"sendmail_fix_line_endings", Choice, "always", "always|strict|never", "", Later, "Whether sendmail takes CR LF at the end of a line for one line end."},
    };
    return rows;
}

} // namespace posthouse::config
