# main.cf, master.cf and the table of parameters.
noinst_LIBRARIES += lib/config/libconfig.a
lib_config_libconfig_a_SOURCES = \
	%reldir%/config.cc %reldir%/config.h \
	%reldir%/expand.cc %reldir%/expand.h \
	%reldir%/fault.h \
	%reldir%/host.cc %reldir%/host.h \
	%reldir%/lines.cc %reldir%/lines.h \
	%reldir%/master_cf.cc %reldir%/master_cf.h \
	%reldir%/nearest.cc %reldir%/nearest.h \
	%reldir%/params.cc %reldir%/params.h \
	%reldir%/params_address.cc \
	%reldir%/params_delivery.cc \
	%reldir%/params_general.cc \
	%reldir%/params_posthouse.cc \
	%reldir%/params_queue.cc \
	%reldir%/params_screening.cc \
	%reldir%/params_smtp.cc \
	%reldir%/params_smtpd.cc \
	%reldir%/params_tls.cc \
	%reldir%/settings.cc %reldir%/settings.h \
	%reldir%/value.cc %reldir%/value.h
