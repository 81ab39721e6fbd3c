//! Linux isolation: slots, namespaces, cgroups, mounts, seccomp.
