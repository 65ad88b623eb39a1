# What `make install` puts under PREFIX: programs, the library in both forms, its headers and those generated for
# what it knows itself, the .proto files to import, and neo.pc, which finds its folders from where it lies.
install(TARGETS protoc-gen-neo DESTINATION bin)
install(TARGETS neo_shared LIBRARY DESTINATION lib)
if(TARGET neo_whole)
    install(TARGETS neo_whole ARCHIVE DESTINATION lib)
else()
    install(TARGETS neo_static ARCHIVE DESTINATION lib)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/neo DESTINATION include FILES_MATCHING PATTERN "*.h")

# The tables of these are in the library; the control plane's own protocols are not for others to link.
set(NEO_PUBLIC_PROTOS google/rpc/error_details google/rpc/status grpc/health/v1/health
    grpc/reflection/v1/reflection grpc/reflection/v1alpha/reflection grpc/channelz/v1/channelz neo/v1/options)
set(NEO_WELL_KNOWN any descriptor duration empty field_mask struct timestamp wrappers)
foreach(stem IN LISTS NEO_PUBLIC_PROTOS)
    get_filename_component(folder ${stem} DIRECTORY)
    install(FILES ${PROJECT_SOURCE_DIR}/proto/${stem}.proto DESTINATION share/neo/proto/${folder})
    install(FILES ${NEO_GEN_DIR}/${stem}.neo.h DESTINATION include/${folder})
endforeach()
foreach(name IN LISTS NEO_WELL_KNOWN) # their .proto files come with protoc
    install(FILES ${NEO_GEN_DIR}/google/protobuf/${name}.neo.h DESTINATION include/google/protobuf)
endforeach()

# Libraries and not Requires.private: pkg-config would add the folders of their headers to --cflags, and ours include
# none of them.
foreach(library OPENSSL NGHTTP2 UV YAML SQLITE ZLIB TSS2)
    list(APPEND NEO_LIBS_PRIVATE ${${library}_STATIC_LDFLAGS})
endforeach()
list(FILTER NEO_LIBS_PRIVATE EXCLUDE REGEX "^-L/usr/lib/|^-pthread$")
list(REMOVE_DUPLICATES NEO_LIBS_PRIVATE)
list(JOIN NEO_LIBS_PRIVATE " " NEO_LIBS_PRIVATE)
configure_file(${PROJECT_SOURCE_DIR}/cmake/neo.pc.in ${CMAKE_BINARY_DIR}/neo.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/neo.pc DESTINATION lib/pkgconfig)

# All of the above, and nothing else: what `make install` builds.
add_custom_target(neo_installed DEPENDS neo protoc-gen-neo neo_shared $<IF:$<TARGET_EXISTS:neo_whole>,neo_whole,neo_static>)
