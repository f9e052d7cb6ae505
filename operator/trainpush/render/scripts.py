"""What `/bin/sh -e` runs in our containers; the images need GNU coreutils and findutils besides.

A model directory is named and checked by its digest: the sha256 of the list that sha256sum makes of its files, in the
order of their names. Nothing but files and folders may be in it, since the digest would not notice a changed link.
Each script that fails says why in its last line, which ends up in a status.
"""

from typing import Final

_COMMON: Final = r"""
fail() {
    echo "$1" >&2
    exit 1
}
only_files() {
    other=$(find "$1" ! -type f ! -type d -print -quit) || fail "cannot look through $1"
    [ -z "$other" ] || fail "${other#"$1/"} is neither a file nor a folder: a model directory must hold nothing else"
}
digest() {
    sums=$(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) || fail "cannot read $1"
    printf '%s\n' "$sums" | sha256sum | cut -d ' ' -f 1
}
remove() {
    [ -e "$1" ] || return 0
    chmod -R u+w "$1"
    rm -rf "$1"
}
discard() {
    remove "$TRAINPUSH_STAGING.gone"
    [ -e "$TRAINPUSH_STAGING" ] || return 0
    mv -T "$TRAINPUSH_STAGING" "$TRAINPUSH_STAGING.gone"
    remove "$TRAINPUSH_STAGING.gone"
}
"""

LOAD: Final = (
    _COMMON
    + r"""
model=$TRAINPUSH_MODEL_DIR
[ -d "$model" ] || fail "$TRAINPUSH_MODEL_URI: there is no such directory"
if [ -n "$TRAINPUSH_MODEL_DIGEST" ]; then
    only_files "$model"
    hex=$(digest "$model")
    [ "sha256:$hex" = "$TRAINPUSH_MODEL_DIGEST" ] ||
        fail "this is another model: its digest is sha256:$hex instead of $TRAINPUSH_MODEL_DIGEST"
fi
served=$TRAINPUSH_REPOSITORY/$TRAINPUSH_MODEL_NAME
rm -rf "$served"
mkdir -p "$served"
find "$model" -mindepth 1 -maxdepth 1 ! -name config.pbtxt -exec ln -s -t "$served" {} +
if [ -e "$model/config.pbtxt" ]; then
    said=$(grep -nE '^(name|max_batch_size|dynamic_batching)[[:space:]]*[:{]' "$model/config.pbtxt" | head -n 1)
    [ -z "$said" ] || fail "config.pbtxt, line $said: remove it, since spec.model.name and spec.batching say it"
    cat "$model/config.pbtxt" > "$served/config.pbtxt"
fi
echo >> "$served/config.pbtxt"
cat "$TRAINPUSH_CONFIG" >> "$served/config.pbtxt"
"""
)
"""Check a model directory and put a repository of links together, with a configuration of two halves.

Environment:
    TRAINPUSH_MODEL_DIR     The directory.
    TRAINPUSH_MODEL_URI     The same as its user calls it.
    TRAINPUSH_MODEL_DIGEST  What its digest must be; empty: anything.
    TRAINPUSH_MODEL_NAME    Name under which it is served.
    TRAINPUSH_CONFIG        File with our lines of config.pbtxt.
    TRAINPUSH_REPOSITORY    Where the repository is made.
"""

STAGE: Final = (
    _COMMON
    + r"""
umask 022
discard
mkdir -p "$TRAINPUSH_STAGING/$TRAINPUSH_POD"
"""
)
"""Make an empty folder for an export, and remove what earlier tries left.

What they left is moved away first: a try that still goes on, on a node that was given up, must not publish a half.

Environment:
    TRAINPUSH_STAGING   Folder of this export, on the volume of the models.
    TRAINPUSH_POD       Name of the pod: its folder in there.
"""

CLEAN: Final = (
    _COMMON
    + r"""
trap 'kill $!; discard; exit 0' TERM
sleep infinity &
wait
"""
)
"""Wait to be told that the export is over, however it ended, and remove what it left unpublished.

A volume that was too small for a model would else stay full.

Environment:
    TRAINPUSH_STAGING   Folder of this export, on the volume of the models.
"""

COPY: Final = (
    _COMMON
    + r"""
final=$TRAINPUSH_CHECKPOINT_DIR/final
[ -d "$final" ] || fail "the checkpoints have no folder final: write the model there, or set spec.push.export.command"
said=$(cp -RL "$final/." "$TRAINPUSH_EXPORT_DIR" 2>&1) || fail "$(printf '%s\n' "$said" | tail -n 1)"
"""
)
"""Export what is a model directory already; links in it become what they point to.

Environment:
    TRAINPUSH_CHECKPOINT_DIR    Where the program kept its checkpoints.
    TRAINPUSH_EXPORT_DIR        Empty folder for the model directory.
"""

PUBLISH: Final = (
    _COMMON
    + r"""
made=$TRAINPUSH_STAGING/$TRAINPUSH_POD
[ -d "$made" ] || fail "$made is gone: a later try of this export has taken over"
only_files "$made"
[ -n "$(find "$made" -type f -print -quit)" ] || fail "the export left its folder TRAINPUSH_EXPORT_DIR empty"
chmod -R a-w,a+rX "$made"
hex=$(digest "$made")
name=sha256-$hex
kept=$TRAINPUSH_MODELS/$name
if [ -d "$kept" ]; then
    found=$(digest "$kept")
    [ "$found" = "$hex" ] || fail "$name is there with other content: remove it"
else
    sync -f "$made"
    chmod u+w "$made"
    mv -T "$made" "$kept" || [ -d "$kept" ] || fail "cannot move the model to $name"
    chmod a-w "$kept"
fi
sync -f "$TRAINPUSH_MODELS"
printf '{"digest": "sha256:%s", "directory": "%s"}' "$hex" "$name" > "$TRAINPUSH_MESSAGE"
"""
)
"""Give an exported directory the name of its digest: by one rename, after all of it is on the disk.

The folder itself stays writable until then, since a folder that changes its parent must be.

Environment:
    TRAINPUSH_STAGING   Folder of this export, on the volume of the models.
    TRAINPUSH_POD       Name of the pod: its folder in there.
    TRAINPUSH_MODELS    Folder of all models.
    TRAINPUSH_MESSAGE   File for the digest and the name of the directory, as JSON.
"""
