# Rules about the source, checked like everything else.
TESTS += %reldir%/layers.py %reldir%/await_shape.py %reldir%/headers_alone.sh %reldir%/man_in_sync.py %reldir%/parameters_known.py
EXTRA_DIST += %reldir%/layers.py %reldir%/await_shape.py %reldir%/headers_alone.sh %reldir%/man_in_sync.py %reldir%/parameters_known.py
