# pages.cmake: the files of pages, as C arrays inside the room: NAME.EXT becomes ag_NAME_EXT and ag_NAME_EXT_len.
foreach(file sxs.html sxs.css sxs.js)
  string(REPLACE "." "_" name ${file})
  set(made ${CMAKE_BINARY_DIR}/pages/${name}.c)
  set(from ${CMAKE_SOURCE_DIR}/src/serve/pages/${file})
  add_custom_command(OUTPUT ${made} DEPENDS ${from} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
                     COMMAND ${CMAKE_COMMAND} -DIN=${from} -DOUT=${made} -DNAME=ag_${name}
                             -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
  target_sources(agrl_serve PRIVATE ${made})
endforeach()
