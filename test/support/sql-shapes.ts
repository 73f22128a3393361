/** What tells all about the table `sessions`, for each kind of database, and where the docs have its SQL. */
export const postgresShape = {
  heading: 'PostgreSQL and PGlite',
  shape: [
    `select column_name, data_type, character_maximum_length, is_nullable, column_default, collation_name
      from information_schema.columns where table_name = 'sessions' order by ordinal_position`,
    'select indexname, indexdef from pg_indexes where tablename = \'sessions\' order by indexname'
  ]
} as const

export const mysqlShape = {
  heading: 'MySQL and MariaDB',
  shape: ['show create table sessions']
} as const

export const sqliteShape = {
  heading: 'SQLite',
  shape: [
    'select name, type, "notnull", pk from pragma_table_info(\'sessions\')',
    `select list.name, list."unique", list.origin, info.seqno, info.name as column
      from pragma_index_list('sessions') as list, pragma_index_info(list.name) as info order by list.name, info.seqno`
  ]
} as const
