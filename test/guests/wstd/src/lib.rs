//! Empty: this package only pins what ../build.sh builds.
