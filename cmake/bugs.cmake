# Which of the sources know of the deliberate bugs (replication/bugs.h): those are compiled twice, for the product and
# with the bugs for the measurement of the simulator. The others are compiled once; should one of them come to include
# bugs.h, COVEY_KNOWS_NO_BUGS makes that an error until cmake has run again.
function(covey_split_by_bugs with without)
  set(knowing "")
  set(unknowing "")
  foreach(source IN LISTS ARGN)
    file(STRINGS ${source} includes REGEX "^#include \"replication/bugs\\.h\"")
    if(includes)
      list(APPEND knowing ${source})
    else()
      list(APPEND unknowing ${source})
    endif()
  endforeach()
  set(${with} ${knowing} PARENT_SCOPE)
  set(${without} ${unknowing} PARENT_SCOPE)
endfunction()
