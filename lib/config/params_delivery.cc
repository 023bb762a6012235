// Parameters of local: accounts, aliases, mailboxes, virtual mailboxes, commands.
#include "lib/config/params.h"

namespace posthouse::config {

std::span<const Parameter> delivery_parameters()
{
    using enum Kind;
    using namespace use;
    static constexpr Parameter rows[] = {
        // ---- aliases
        {"alias_maps", Tables, "$default_database_type:/etc/aliases", "", "", Smtpd | Local | Commands, "Tables of aliases for local recipients."},
        {"alias_database", Tables, "$default_database_type:/etc/aliases", "", "", Commands, "Tables that newaliases makes anew."},
        {"expand_owner_alias", Boolean, "no", "", "", Later, "Whether the sender becomes what owner-NAME stands for instead of owner-NAME."},
        {"owner_request_special", Boolean, "yes", "", "", Later, "Whether owner-NAME and NAME-request are not parted at a hyphen that is the delimiter; never, as yet."},
        {"reset_owner_alias", Boolean, "no", "", "", Later, "Whether an alias without owner inside one with owner goes back to the first sender."},
        {"frozen_delivered_to", Boolean, "yes", "", "", Later, "Whether Delivered-To: stays the same through all aliases."},
        {"prepend_delivered_header", List, "command, file, forward", "", "", Local, "Kinds of delivery that get a Delivered-To: field."},
        {"allow_mail_to_commands", List, "alias, forward", "", "", Later, "Where a command may stand as recipient: alias, forward, include."},
        {"allow_mail_to_files", List, "alias, forward", "", "", Local, "Where a file may stand as recipient: alias, forward, include."},
        {"biff", Boolean, "yes", "", "", Unused, "Whether the comsat service is told of new mail."},

        // ---- accounts
        {"home_mailbox", Text, "", "", "", Local, "Mailbox below the user's home directory; a trailing slash makes it a Maildir."},
        {"mail_spool_directory", Text, "/var/mail", "", "", Local, "Directory of mailboxes, one for each user; a trailing slash makes them Maildirs."},
        {"mailbox_size_limit", Size, "51200000", "0", "", Local, "Largest mailbox or Maildir file, in bytes; 0 for no limit."},
        {"mailbox_delivery_lock", List, "fcntl, dotlock", "", "", Local, "How a mailbox file is locked: fcntl, flock, dotlock."},
        {"deliver_lock_attempts", Number, "20", "1", "", Local, "How often locking a mailbox file is tried."},
        {"deliver_lock_delay", Time, "1s", "1s", "", Local, "Pause between such tries."},
        {"mailbox_command", Raw, "", "", "", Later, "Command that takes all local mail."},
        {"mailbox_command_maps", Tables, "", "", "", Later, "Tables of such commands, by user."},
        {"mailbox_transport", Text, "", "", "", Later, "Transport that takes all local mail, for users with and without account."},
        {"mailbox_transport_maps", Tables, "", "", "", Later, "Tables of such transports, by recipient."},
        {"fallback_transport", Text, "", "", "", Later, "Transport that takes mail for names that are neither alias nor account."},
        {"fallback_transport_maps", Tables, "", "", "", Later, "Tables of such transports, by recipient."},
        {"luser_relay", Raw, "", "", "", Local, "Recipient that takes mail for names that are neither alias nor account."},
        {"forward_path", Raw, "$home/.forward${recipient_delimiter}${extension}, $home/.forward", "", "", Later, "Files in which a user redirects mail; the first that exists counts."},
        {"require_home_directory", Boolean, "no", "", "", Local, "Whether mail waits while the user's home directory is missing."},
        {"local_command_shell", Text, "", "", "", Later, "Shell that runs commands of users."},
        {"command_time_limit", Time, "1000s", "1s", "", Later, "How long a command that takes mail may run."},
        {"command_expansion_filter", Text, "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "", "", Later, "Characters that $names in commands may bring in."},
        {"command_execution_directory", Raw, "", "", "", Later, "Directory in which commands of users run."},
        {"execution_directory_expansion_filter", Text, "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "", "", Later, "Characters that $names in that directory may bring in."},
        {"forward_expansion_filter", Text, "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "", "", Later, "Characters that $names in forward_path may bring in."},
        {"local_delivery_status_filter", Tables, "$default_delivery_status_filter", "", "", Later, "Table that replaces the status of a local delivery."},
        {"pipe_delivery_status_filter", Tables, "$default_delivery_status_filter", "", "", Later, "Table that replaces the status of a delivery to a command."},

        // ---- virtual mailboxes
        {"virtual_mailbox_base", Text, "", "", "", Local, "Directory before every path from virtual_mailbox_maps."},
        {"virtual_uid_maps", Tables, "", "", "", Local, "Tables of the uid that owns a virtual mailbox; usually static:5000."},
        {"virtual_gid_maps", Tables, "", "", "", Local, "Tables of the gid that owns a virtual mailbox."},
        {"virtual_minimum_uid", Number, "100", "1", "", Local, "Smallest uid that virtual_uid_maps may give, and gid that virtual_gid_maps may give unless it is a static: table or the group of the uid's user."},
        {"virtual_mailbox_limit", Size, "51200000", "0", "", Local, "Largest virtual mailbox or Maildir file, in bytes; 0 for no limit."},
        {"virtual_mailbox_lock", List, "fcntl, dotlock", "", "", Local, "How a virtual mailbox file is locked."},
        {"virtual_delivery_status_filter", Tables, "$default_delivery_status_filter", "", "", Later, "Table that replaces the status of a delivery to a virtual mailbox."},
    };
    return rows;
}

} // namespace posthouse::config
